// The panels: one canvas each, all drawn in one go from the pictures of one frame.

class Stage {
  constructor(root) {
    this.root = root;
    this.panels = {};
    for (const figure of root.querySelectorAll("figure")) {
      const canvas = figure.querySelector("canvas");
      const context = canvas.getContext("2d", { willReadFrequently: true, alpha: false });
      this.panels[figure.dataset.panel] = { figure, canvas, context, text: canvas.getAttribute("aria-label") };
    }
    this.gain = 4;
    this.hidden = new Set(); // panels that the reader switched off
    this.there = new Set(); // panels that this clip has
  }

  // Empties the panels for another clip: `data-drawn` names a frame only when all of its pictures are on the page.
  open(clip) {
    this.clip = clip;
    delete this.root.dataset.drawn;
    this.there = new Set(["true", "generated", "difference", ...Object.keys(clip.streams)]);
    if (clip.source) this.there.add("source");
    for (const name of ["true", "generated", "difference", "pose"]) {
      const { canvas, text } = this.panels[name];
      [canvas.width, canvas.height] = clip.size;
      canvas.setAttribute("aria-label", text);
    }
    this.sourceDrawn = clip.source ? this.drawSource(clip) : Promise.resolve();
    this.arrange();
  }

  async drawSource(clip) {
    const bitmap = await bitmapOf(clip.source);
    if (clip !== this.clip) return;
    const { canvas, context } = this.panels.source;
    [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
    context.drawImage(bitmap, 0, 0);
  }

  arrange() {
    for (const [name, panel] of Object.entries(this.panels)) {
      panel.figure.hidden = !this.there.has(name) || this.hidden.has(name);
    }
  }

  draw(frame, pictures) {
    for (const [name, bitmap] of Object.entries(pictures)) {
      const { canvas, context } = this.panels[name];
      context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    }
    for (const name of ["true", "generated", "pose", "difference"]) {
      this.panels[name].canvas.setAttribute("aria-label", `${this.panels[name].text}, frame ${frame}`);
    }
    this.drawDifference();
    this.root.dataset.drawn = frame;
  }

  // Grey: mean absolute difference of the three channels, times the gain.
  drawDifference() {
    if (this.panels.difference.figure.hidden) return;
    const [width, height] = this.clip.size;
    const first = this.panels.true.context.getImageData(0, 0, width, height).data;
    const second = this.panels.generated.context.getImageData(0, 0, width, height).data;
    const { context } = this.panels.difference;
    const out = context.createImageData(width, height);
    const scale = this.gain / 3;
    for (let i = 0; i < first.length; i += 4) {
      const sum =
        Math.abs(first[i] - second[i]) +
        Math.abs(first[i + 1] - second[i + 1]) +
        Math.abs(first[i + 2] - second[i + 2]);
      out.data[i] = out.data[i + 1] = out.data[i + 2] = sum * scale; // the array cuts at 255
      out.data[i + 3] = 255;
    }
    context.putImageData(out, 0, 0);
  }
}
