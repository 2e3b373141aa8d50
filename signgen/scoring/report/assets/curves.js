// One curve for each metric that has values frame by frame: where the clip is bad, and a way to go there.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 100; // of the drawing's own units; a frame is one unit wide

class Curves {
  constructor(root, seek) {
    this.root = root;
    this.seek = seek;
    this.curves = [];
  }

  open(clip) {
    this.curves = clip.curves.map((data) => new Curve(data, clip, this.seek));
    this.root.replaceChildren(...this.curves.map((curve) => curve.element));
  }

  at(frame) {
    this.curves.forEach((curve) => curve.at(frame));
  }
}

class Curve {
  constructor(data, clip, seek) {
    Object.assign(this, { data, clip, seek, frame: clip.first });
    this.low = Math.min(...this.numbers());
    this.high = Math.max(...this.numbers());
    this.element = element("div", "curve");
    this.element.dataset.metric = data.metric;
    this.value = element("output", "curve-value");
    this.element.append(this.head(), this.plot());
  }

  numbers() {
    const found = this.data.values.filter((value) => value !== null);
    if (this.data.overall !== null) found.push(this.data.overall);
    return found.length ? found : [0];
  }

  head() {
    const head = element("div", "curve-head");
    const name = element("span", "curve-name", this.data.text);
    if (this.data.unit) name.append(" ", element("small", "", this.data.unit));
    head.append(name, this.value);
    if (this.data.worst !== null) {
      const { word, worst, text } = { text: this.data.text, word: this.data.worst_word, worst: this.data.worst };
      const button = element("button", "worst", `${word}: ${worst}`);
      button.type = "button";
      button.setAttribute("aria-label", `${text}: go to the ${word.toLowerCase()} frame, ${worst}`);
      button.addEventListener("click", () => this.seek(worst, true));
      head.append(button);
    }
    return head;
  }

  plot() {
    const plot = element("div", "plot");
    const svg = shape("svg", { viewBox: `0 0 ${this.clip.frames} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    svg.setAttribute("aria-label", this.described());
    const last = this.clip.first + this.clip.streams.true.length;
    svg.append(
      shape("rect", { class: "outside", x: 0, y: 0, width: this.clip.first, height: HEIGHT }),
      shape("rect", { class: "outside", x: last, y: 0, width: this.clip.frames - last, height: HEIGHT }),
    );
    if (this.data.overall !== null) {
      const y = this.y(this.data.overall);
      svg.append(shape("path", { class: "overall", d: `M0 ${y}H${this.clip.frames}` }));
    }
    this.hover = shape("path", { class: "hover", d: "" });
    this.cursor = shape("path", { class: "cursor", d: "" });
    this.dot = shape("path", { class: "dot", d: "" });
    svg.append(shape("path", { class: "line", d: this.line() }), this.hover, this.cursor, this.dot);
    this.listen(svg);
    plot.append(svg);
    if (this.data.values.some((value) => value !== null)) plot.append(this.scale("top", this.high));
    if (this.high > this.low) plot.append(this.scale("bottom", this.low));
    return plot;
  }

  scale(end, value) {
    const text = element("span", `scale ${end}`, formatted(value, this.data.digits));
    text.setAttribute("aria-hidden", "true");
    return text;
  }

  described() {
    const { text, unit, values, worst, worst_word, digits } = this.data;
    const found = values.filter((value) => value !== null);
    if (!found.length) return `${text}: no value in any frame`;
    const [low, high] = [Math.min(...found), Math.max(...found)].map((value) => formatted(value, digits));
    const where = worst === null ? "" : `, ${worst_word.toLowerCase()} at frame ${worst}`;
    return `${text}, ${values.length} frames, from ${low} to ${high} ${unit}${where}`;
  }

  y(value) {
    const room = this.high - this.low || 1;
    return (HEIGHT * (0.94 - (0.88 * (value - this.low)) / room)).toFixed(2);
  }

  // A new stroke after each gap; a value between two gaps becomes a dot (a stroke of no length, with round ends).
  line() {
    let path = "";
    let drawing = false;
    this.data.values.forEach((value, frame) => {
      if (value !== null) path += `${drawing ? "L" : "M"}${frame + 0.5} ${this.y(value)}${drawing ? "" : "h0"}`;
      drawing = value !== null;
    });
    return path;
  }

  listen(svg) {
    const frameAt = (event) => {
      const box = svg.getBoundingClientRect();
      const frame = Math.floor(((event.clientX - box.left) / box.width) * this.clip.frames);
      return clamp(frame, 0, this.clip.frames - 1);
    };
    svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      svg.setPointerCapture(event.pointerId);
      this.seek(frameAt(event));
    });
    svg.addEventListener("pointermove", (event) => {
      const frame = frameAt(event);
      if (event.buttons & 1) this.seek(frame);
      this.hover.setAttribute("d", `M${frame + 0.5} 0V${HEIGHT}`);
      this.say(frame, true);
    });
    svg.addEventListener("pointerleave", () => {
      this.hover.setAttribute("d", "");
      this.say(this.frame);
    });
  }

  say(frame, hovered = false) {
    const value = this.data.values[frame];
    this.value.textContent = value === null ? "not defined" : formatted(value, this.data.digits);
    if (hovered) this.value.prepend(element("small", "", `frame ${frame} `));
  }

  at(frame) {
    this.frame = frame;
    const value = this.data.values[frame];
    this.cursor.setAttribute("d", `M${frame + 0.5} 0V${HEIGHT}`);
    this.dot.setAttribute("d", value === null ? "" : `M${frame + 0.5} ${this.y(value)}h0`);
    this.say(frame);
  }
}

function element(tag, name, text = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.textContent = text;
  return made;
}

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
