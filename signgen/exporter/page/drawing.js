// Pose images: round-ended lines and filled palms with analytic coverage, see signgen/pose_image/coverage.py and
// strokes.py. What is joined, in which colour and order, is the table that signgen/pose_image/palette.py makes.
import { HAND_POINTS, JOINTS, LEFT_HAND, RIGHT_HAND, clamp } from "./skeleton.js";

const FADE_FROM = 0.05, FADE_TO = 0.7, FLAT_HAND_SINE = 0.5, MOST = 1e7;

/** Draws frames on pictures of one size. */
export class PoseDrawing {
  /** `table`: arrays of `palette.Table` with their shapes, and `palm_opacity`, `reference` (W, H). */
  constructor(table, width, height) {
    this.width = width;
    this.height = height;
    this.table = table;
    this.scale = Math.min(width / table.reference[0], height / table.reference[1]);
    this.canvas = new Float32Array(width * height * 3);
    this.layer = new Float32Array(width * height * 4);
    this.box = [0, 0, 0, 0];
    this.layerBox = [width, height, 0, 0];
  }

  /** Points Float64Array (133, 3) in pixels of the picture -> Uint8Array (H, W, 3). */
  draw(points) {
    const { table, width } = this;
    const x = new Float64Array(JOINTS), y = new Float64Array(JOINTS), opacity = new Float64Array(JOINTS);
    for (let joint = 0; joint < JOINTS; joint++) { // from the corner now
      x[joint] = clamp(points[3 * joint] + 0.5, -MOST, MOST);
      y[joint] = clamp(points[3 * joint + 1] + 0.5, -MOST, MOST);
      opacity[joint] = clamp((points[3 * joint + 2] - FADE_FROM) / (FADE_TO - FADE_FROM), 0, 1);
    }
    const facing = this.facing(x, y);
    const row = this.order(points, facing), layers = table.orders.length / 8;
    this.canvas.fill(0);
    for (let k = 0; k < layers; k++) {
      const layer = table.orders[row * layers + k];
      if (layer < 0) {
        this.palm(-layer - 1, x, y, opacity, facing);
        continue;
      }
      for (let s = table.first[layer]; s < table.first[layer + 1]; s++) {
        const a = table.ends[2 * s], b = table.ends[2 * s + 1];
        if (opacity[a] > 0 && opacity[b] > 0) this.stroke(s, x[a], y[a], x[b], y[b], opacity[a], opacity[b]);
      }
      this.layOver();
    }
    const out = new Uint8Array(this.canvas.length);
    for (let k = 0; k < out.length; k++) out[k] = this.canvas[k] + 0.5;
    return out;
  }

  /** 1 for a palm that faces the camera .. -1 for a back, left and right. */
  facing(x, y) {
    const blur = (2 * this.scale) ** 2;
    return [[LEFT_HAND, 1], [RIGHT_HAND, -1]].map(([wrist, sign]) => {
      const ax = x[wrist + 5] - x[wrist], ay = y[wrist + 5] - y[wrist];
      const bx = x[wrist + 17] - x[wrist], by = y[wrist + 17] - y[wrist];
      const spread = Math.hypot(ax, ay) * Math.hypot(bx, by) + blur;
      return clamp((sign * (ax * by - ay * bx)) / spread / FLAT_HAND_SINE, -1, 1);
    });
  }

  /** The row of the table's orders: the hand that is seen better lies over the other. */
  order(points, facing) {
    const [left, right] = [LEFT_HAND, RIGHT_HAND].map((wrist) => {
      let total = 0;
      for (let k = 0; k < HAND_POINTS; k++) total += points[3 * (wrist + k) + 2];
      return Math.fround(total);
    });
    return 4 * (right >= left) + 2 * (facing[0] < 0) + (facing[1] < 0);
  }

  grow(x0, y0, x1, y1, margin, widen) {
    const { box, layerBox, width, height } = this;
    box[0] = Math.trunc(clamp(Math.min(x0, x1) - margin, 0, width));
    box[1] = Math.trunc(clamp(Math.min(y0, y1) - margin, 0, height));
    box[2] = Math.trunc(clamp(Math.max(x0, x1) + margin + 1, 0, width));
    box[3] = Math.trunc(clamp(Math.max(y0, y1) + margin + 1, 0, height));
    if (!widen || box[0] >= box[2] || box[1] >= box[3]) return;
    for (let k = 0; k < 2; k++) {
      layerBox[k] = Math.min(layerBox[k], box[k]);
      layerBox[2 + k] = Math.max(layerBox[2 + k], box[2 + k]);
    }
  }

  stroke(s, x0, y0, x1, y1, first, last) {
    const { box, layer, table, width } = this;
    const radius = table.radii[s] * this.scale, colours = table.colours.subarray(6 * s, 6 * s + 6);
    this.grow(x0, y0, x1, y1, radius + 0.5, true);
    const dx = x1 - x0, dy = y1 - y0, inverse = 1 / Math.max(dx * dx + dy * dy, 1e-12);
    const reach = (radius + 0.5) ** 2;
    for (let row = box[1]; row < box[3]; row++) {
      const py = row + 0.5 - y0;
      for (let column = box[0]; column < box[2]; column++) {
        const px = column + 0.5 - x0;
        const t = clamp((px * dx + py * dy) * inverse, 0, 1);
        const ex = px - t * dx, ey = py - t * dy, square = ex * ex + ey * ey;
        if (square >= reach) continue;
        const distance = Math.sqrt(square); // overlap of the line's width with a pixel this far from its middle
        const cover = Math.min(radius, distance + 0.5) - Math.max(-radius, distance - 0.5);
        const alpha = cover * ((1 - t) * first + t * last), at = 4 * (row * width + column);
        if (alpha > layer[at + 3]) {
          for (let c = 0; c < 3; c++) layer[at + c] = (1 - t) * colours[c] + t * colours[3 + c];
          layer[at + 3] = alpha;
        }
      }
    }
  }

  layOver() {
    const { canvas, layer, layerBox, width, height } = this;
    for (let row = layerBox[1]; row < layerBox[3]; row++) {
      for (let column = layerBox[0]; column < layerBox[2]; column++) {
        const at = row * width + column, alpha = layer[4 * at + 3];
        if (alpha > 0) {
          for (let c = 0; c < 3; c++) canvas[3 * at + c] += alpha * (layer[4 * at + c] - canvas[3 * at + c]);
          layer[4 * at + 3] = 0;
        }
      }
    }
    this.layerBox = [width, height, 0, 0];
  }

  /** One palm, filled by non-zero winding, fainter where its corners are less sure; not drawn if one is missing. */
  palm(side, xs, ys, opacity, facing) {
    const { box, canvas, table, width } = this;
    const corners = Array.from(table.palms.subarray(6 * side, 6 * side + 6));
    if (corners.some((joint) => opacity[joint] <= 0)) return;
    let seen = 0;
    for (const joint of corners) seen += opacity[joint] / corners.length;
    const strength = table.palm_opacity * seen, mix = 0.5 + 0.5 * facing[side];
    const tones = table.palm_colours.subarray(6 * side, 6 * side + 6);
    const colour = [0, 1, 2].map((c) => (1 - mix) * tones[c] + mix * tones[3 + c]);
    const x = corners.map((joint) => xs[joint]), y = corners.map((joint) => ys[joint]);
    this.grow(Math.min(...x), Math.min(...y), Math.max(...x), Math.max(...y), 0.5, false);
    for (let row = box[1]; row < box[3]; row++) {
      const py = row + 0.5;
      for (let column = box[0]; column < box[2]; column++) {
        const px = column + 0.5;
        let winding = 0, nearest = 1e18;
        for (let k = 0; k < 6; k++) {
          const next = (k + 1) % 6, ay = y[k], by = y[next];
          const dx = x[next] - x[k], dy = by - ay, ox = px - x[k], oy = py - ay;
          const t = clamp((ox * dx + oy * dy) / Math.max(dx * dx + dy * dy, 1e-12), 0, 1);
          nearest = Math.min(nearest, (ox - t * dx) ** 2 + (oy - t * dy) ** 2);
          const side_ = dx * oy - dy * ox;
          if (ay <= py && py < by && side_ > 0) winding++;
          else if (by <= py && py < ay && side_ < 0) winding--;
        }
        const depth = winding !== 0 ? Math.sqrt(nearest) : -Math.sqrt(nearest);
        const cover = clamp(depth + 0.5, 0, 1) * strength, at = 3 * (row * width + column);
        if (cover > 0) for (let c = 0; c < 3; c++) canvas[at + c] += cover * (colour[c] - canvas[at + c]);
      }
    }
  }
}
