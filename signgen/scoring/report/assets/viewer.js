// One clip on the stage: clock, players, slider and curves kept on the same frame.

class Viewer {
  constructor() {
    this.root = byId("viewer");
    this.slider = byId("frame");
    this.playButton = byId("play");
    this.stage = new Stage(byId("stage"));
    this.curves = new Curves(byId("curves"), (frame, aloud) => this.seek(frame, aloud));
    this.clock = new Clock({
      show: (frame) => this.show(frame),
      ready: (frame) => this.pictures.due(frame, this.clock.loop) !== null,
      changed: () => this.playingChanged(),
    });
    this.clip = null;
    this.pictures = null;
    this.number = -1;
    this.listen();
  }

  listen() {
    const { clock, stage } = this;
    this.slider.addEventListener("input", () => this.seek(Number(this.slider.value)));
    this.playButton.addEventListener("click", () => this.toggle());
    byId("first").addEventListener("click", () => this.seek(clock.first));
    byId("last").addEventListener("click", () => this.seek(clock.last));
    byId("back").addEventListener("click", () => this.step(-1));
    byId("next").addEventListener("click", () => this.step(1));
    byId("speed").addEventListener("change", (event) => (clock.speed = Number(event.target.value)));
    byId("loop").addEventListener("change", (event) => (clock.loop = event.target.checked));
    byId("gain").addEventListener("input", () => this.gainChanged());
    for (const box of this.root.querySelectorAll("input[data-panel]")) {
      box.addEventListener("change", () => {
        stage.hidden[box.checked ? "delete" : "add"](box.dataset.panel);
        stage.arrange();
        stage.drawDifference();
      });
    }
  }

  open(number) {
    if (number === this.number) return;
    if (this.pictures) this.pictures.close();
    const clip = openClip(number);
    Object.assign(this, { number, clip, pictures: new Pictures(clip) });
    byId("clip-title").firstElementChild.textContent = clip.name;
    byId("clip-cut").textContent = clip.cut;
    byId("clip-cut").hidden = !clip.cut;
    this.clock.open(clip.first, this.pictures.last, clip.fps);
    Object.assign(this.slider, { min: clip.first, max: this.pictures.last });
    this.stage.open(clip);
    for (const box of this.root.querySelectorAll("input[data-panel]")) {
      box.parentElement.hidden = !this.stage.there.has(box.dataset.panel);
    }
    this.curves.open(clip);
    this.root.hidden = false;
    this.gainChanged();
    this.seek(clip.first);
  }

  toggle() {
    if (this.clock.playing) this.clock.pause();
    else this.clock.play();
  }

  step(frames) {
    this.clock.pause();
    this.seek(this.clock.frame + frames);
  }

  // Goes to a frame; what is decoded late is drawn only if nobody asked for another frame since.
  async seek(frame, aloud = false) {
    const wanted = this.clock.seek(frame);
    const { pictures } = this;
    this.mark(wanted);
    if (aloud) byId("said").textContent = `${this.clip.name}, frame ${wanted}`;
    const [decoded] = await Promise.all([pictures.get(wanted), this.stage.sourceDrawn]);
    if (decoded && pictures === this.pictures && wanted === this.clock.frame) this.stage.draw(wanted, decoded);
  }

  // Draws a frame whose pictures are ready.
  show(frame) {
    this.stage.draw(frame, this.pictures.decoded.get(frame));
    this.mark(frame);
  }

  // Slider, words and curves of a frame.
  mark(frame) {
    const { clip } = this;
    const seconds = (frame / clip.fps).toFixed(2);
    this.slider.value = frame;
    this.slider.setAttribute("aria-valuetext", `frame ${frame} of 0 to ${clip.frames - 1}, ${seconds} seconds`);
    byId("readout").textContent = `frame ${frame} / ${clip.frames - 1} · ${seconds} s`;
    this.curves.at(frame);
  }

  playingChanged() {
    const { playing } = this.clock;
    this.root.classList.toggle("playing", playing);
    this.playButton.setAttribute("aria-label", playing ? "Pause" : "Play");
  }

  gainChanged() {
    const gain = Number(byId("gain").value);
    this.stage.gain = gain;
    byId("gain-value").textContent = `×${gain}, white from ${Math.ceil(255 / gain)} levels`;
    this.stage.drawDifference();
  }
}
