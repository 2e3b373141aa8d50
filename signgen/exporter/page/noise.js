// The noise of a frame by seed and frame number: NumPy's Philox and its float32 normal numbers (a ziggurat of 256
// layers), so that a browser starts from the very numbers of signgen/model/diffusion/noise.py.

const WORD = (1n << 64n) - 1n;
const M0 = 0xd2e7470ee14c6c93n, M1 = 0xca5a826395121157n, W0 = 0x9e3779b97f4a7c15n, W1 = 0xbb67ae8584caa73bn;

/** 32-bit numbers of Philox 4x64 with 10 rounds, as NumPy hands them out: the lower half of each word first. */
class Philox {
  constructor(key, counter) {
    this.key = key.map((word) => BigInt.asUintN(64, word));
    this.counter = counter.map((word) => BigInt.asUintN(64, word));
    this.words = new Uint32Array(8);
    this.at = 8;
  }

  next() {
    if (this.at === 8) this.fill();
    return this.words[this.at++];
  }

  fill() {
    for (let k = 0; k < 4; k++) { // the counter goes up before each block
      this.counter[k] = (this.counter[k] + 1n) & WORD;
      if (this.counter[k]) break;
    }
    let [a, b, c, d] = this.counter;
    let [k0, k1] = this.key;
    for (let round = 0; round < 10; round++) {
      const first = M0 * a, second = M1 * c;
      [a, b, c, d] = [(second >> 64n) ^ b ^ k0, second & WORD, (first >> 64n) ^ d ^ k1, first & WORD];
      k0 = (k0 + W0) & WORD;
      k1 = (k1 + W1) & WORD;
    }
    [a, b, c, d].forEach((word, k) => {
      this.words[2 * k] = Number(word & 0xffffffffn);
      this.words[2 * k + 1] = Number(word >> 32n);
    });
    this.at = 0;
  }

  float() {
    return Math.fround((this.next() >>> 8) * (1 / 16777216));
  }
}

// Marsaglia and Tsang, "The Ziggurat Method for Generating Random Variables", 2000, with 256 layers.
const RIGHT = 3.6541528853610088, AREA = 0.00492867323399;
const LIMIT = new Uint32Array(256), WIDTH = new Float32Array(256), HEIGHT = new Float32Array(256);
{
  const scale = 2 ** 23, density = (x) => Math.exp(-0.5 * x * x);
  let x = RIGHT, last = RIGHT;
  LIMIT[0] = (RIGHT * density(RIGHT) / AREA) * scale;
  LIMIT[1] = 0;
  WIDTH[0] = AREA / density(RIGHT) / scale;
  WIDTH[255] = RIGHT / scale;
  HEIGHT[0] = 1;
  HEIGHT[255] = density(RIGHT);
  for (let k = 254; k > 0; k--) {
    x = Math.sqrt(-2 * Math.log(AREA / x + density(x)));
    LIMIT[k + 1] = (x / last) * scale;
    last = x;
    WIDTH[k] = x / scale;
    HEIGHT[k] = density(x);
  }
}

function normal(philox) {
  for (;;) {
    const drawn = philox.next();
    const layer = drawn & 255, magnitude = (drawn >>> 9) & 0x7fffff;
    let x = Math.fround(magnitude * WIDTH[layer]);
    if ((drawn >>> 8) & 1) x = -x;
    if (magnitude < LIMIT[layer]) return x;
    if (layer === 0) { // the tail
      for (;;) {
        const aside = -Math.log1p(-philox.float()) / RIGHT, up = -Math.log1p(-philox.float());
        if (up + up > aside * aside) return (magnitude >>> 8) & 1 ? -(RIGHT + aside) : RIGHT + aside;
      }
    }
    if ((HEIGHT[layer - 1] - HEIGHT[layer]) * philox.float() + HEIGHT[layer] < Math.exp(-0.5 * x * x)) return x;
  }
}

export const SOURCE = 1n << 62n; // keys the noise of the first source's view

/** Float32Array of `count` standard normal numbers: those of a frame (a number or BigInt) for a seed. */
export function frameNoise(seed, frame, count, stream = 0) {
  const philox = new Philox([BigInt(seed), BigInt(frame)], [0n, 0n, 0n, BigInt(stream)]);
  return Float32Array.from({ length: count }, () => normal(philox));
}
