// Puts the parts together.

const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;

function start() {
  const viewer = new Viewer();
  const chooser = new Chooser(byId("clip-list"), byId("sort"), (number) => open(number));

  function open(number) {
    viewer.open(number);
    chooser.mark(number);
  }

  for (const button of document.querySelectorAll("button.jump")) {
    button.addEventListener("click", () => {
      open(Number(button.dataset.clip));
      viewer.clock.pause();
      viewer.seek(Number(button.dataset.frame), true);
      viewer.stage.root.focus({ preventScroll: true });
      byId("viewer").scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
    });
  }
  if (still) byId("loop").checked = viewer.clock.loop = false;
  listenToKeys(viewer);
  open(chooser.top);
}

// On paper there is nothing to unfold.
const unfolded = [];
window.addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details:not([open])")) {
    details.open = true;
    unfolded.push(details);
  }
});
window.addEventListener("afterprint", () => {
  while (unfolded.length) unfolded.pop().open = false;
});

if (byId("viewer")) start();
