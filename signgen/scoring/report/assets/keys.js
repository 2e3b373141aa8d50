// The keyboard: space plays, arrows step (ten frames with shift), Home and End go to the ends.
// Keys are taken only inside the viewer, or where nothing has the focus and the players are in sight.

const TYPED = "select, textarea, input:not([type=range], [type=checkbox])";

function listenToKeys(viewer) {
  const steps = { ArrowLeft: -1, ArrowRight: 1 };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || !reaches(viewer, event.target)) return;
    const own = ownKeys(event.target);
    if (own.includes(event.key)) return;
    if (event.key === " ") viewer.toggle();
    else if (event.key in steps) viewer.step(steps[event.key] * (event.shiftKey ? 10 : 1));
    else if (event.key === "Home") viewer.seek(viewer.clock.first);
    else if (event.key === "End") viewer.seek(viewer.clock.last);
    else return;
    event.preventDefault();
  });
}

function reaches(viewer, target) {
  if (viewer.root.hidden) return false;
  if (target !== document.body) return viewer.root.contains(target);
  const box = viewer.stage.root.getBoundingClientRect();
  return box.bottom > 0 && box.top < window.innerHeight;
}

// Keys that the focused control has a use for.
function ownKeys(target) {
  if (target.matches(TYPED)) return [" ", "ArrowLeft", "ArrowRight", "Home", "End"];
  if (target.id === "frame") return [];
  if (target.matches("input[type=range]")) return ["ArrowLeft", "ArrowRight", "Home", "End"];
  return target.matches("button, summary, input[type=checkbox]") ? [" "] : [];
}
