// The frames of one clip, decoded when they are needed and forgotten when they are old.
// All pictures of a frame arrive together, so no panel can be ahead of another.

const KEPT_PIXELS = 40e6; // decoded pixels that are kept at a time, 160 MB
const AHEAD = 12; // frames that are decoded before they are due

class Pictures {
  constructor(clip) {
    this.clip = clip;
    this.streams = Object.keys(clip.streams);
    this.last = clip.first + clip.streams.true.length - 1;
    this.decoded = new Map(); // frame -> {stream: ImageBitmap}, the oldest first
    this.pending = new Map(); // frame -> Promise of the same
    this.kept = Math.max(AHEAD * 2, Math.floor(KEPT_PIXELS / (clip.size[0] * clip.size[1] * this.streams.length)));
    this.closed = false;
  }

  // The pictures of a frame if they are there, else null; decodes what comes after it either way.
  due(frame, loop) {
    const count = this.last - this.clip.first + 1;
    for (let ahead = 0; ahead <= Math.min(AHEAD, count - 1); ahead++) {
      const wanted = frame + ahead;
      if (wanted <= this.last) this.get(wanted);
      else if (loop) this.get(this.clip.first + ((wanted - this.clip.first) % count));
    }
    return this.decoded.get(frame) || null;
  }

  get(frame) {
    if (this.decoded.has(frame)) {
      const pictures = this.decoded.get(frame);
      this.decoded.delete(frame); // to the young end
      this.decoded.set(frame, pictures);
      return Promise.resolve(pictures);
    }
    if (!this.pending.has(frame)) this.pending.set(frame, this.decode(frame));
    return this.pending.get(frame);
  }

  async decode(frame) {
    const index = frame - this.clip.first;
    const bitmaps = await Promise.all(this.streams.map((name) => bitmapOf(this.clip.streams[name][index])));
    const pictures = Object.fromEntries(this.streams.map((name, i) => [name, bitmaps[i]]));
    this.pending.delete(frame);
    if (this.closed) {
      bitmaps.forEach((bitmap) => bitmap.close());
      return null;
    }
    this.decoded.set(frame, pictures);
    this.forget();
    return pictures;
  }

  forget() {
    while (this.decoded.size > this.kept) {
      const [frame, pictures] = this.decoded.entries().next().value;
      this.decoded.delete(frame);
      Object.values(pictures).forEach((bitmap) => bitmap.close());
    }
  }

  close() {
    this.closed = true;
    this.kept = 0;
    this.forget();
  }
}

function bitmapOf(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: "image/webp" }));
}
