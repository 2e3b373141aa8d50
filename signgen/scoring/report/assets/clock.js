// The one clock of the page: says which frame is due. It stands still while a due frame is not decoded yet,
// so that a slow machine plays slower and never out of step.

class Clock {
  // show(frame): draw it now; ready(frame): whether that is possible; changed(): playing began or ended.
  constructor({ show, ready, changed }) {
    Object.assign(this, { show, ready, changed });
    this.first = this.last = this.frame = 0;
    this.fps = 25;
    this.speed = 1;
    this.loop = true;
    this.playing = false;
    this.tick = this.tick.bind(this);
  }

  open(first, last, fps) {
    this.pause();
    Object.assign(this, { first, last, fps, frame: first });
  }

  play() {
    if (this.playing || this.last === this.first) return;
    if (this.frame >= this.last) this.frame = this.first;
    this.playing = true;
    this.progress = 0; // frames since this.frame was due
    this.before = performance.now();
    this.changed();
    requestAnimationFrame(this.tick);
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.changed();
  }

  seek(frame) {
    this.frame = clamp(Math.round(frame), this.first, this.last);
    this.progress = 0;
    return this.frame;
  }

  tick(now) {
    if (!this.playing) return;
    this.progress += (Math.max(now - this.before, 0) / 1000) * this.fps * this.speed;
    this.before = now;
    const steps = Math.floor(this.progress);
    if (steps > 0) this.advance(steps);
    if (this.playing) requestAnimationFrame(this.tick);
  }

  advance(steps) {
    const count = this.last - this.first + 1;
    let due = this.frame + steps;
    if (due > this.last && !this.loop) due = this.last;
    else due = this.first + ((due - this.first) % count);
    if (!this.ready(due)) {
      this.progress = Math.min(this.progress, 1); // wait for this very frame
      due = this.nextFrame();
      if (!this.ready(due)) return;
    }
    this.progress -= Math.floor(this.progress);
    this.frame = due;
    this.show(due);
    if (due === this.last && !this.loop) this.pause();
  }

  nextFrame() {
    if (this.frame < this.last) return this.frame + 1;
    return this.loop ? this.first : this.last;
  }
}
