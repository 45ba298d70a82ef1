/* B on A: where each point of B lies on A, as the kernel found it, for pictures on the stage and on a canvas. */

/** Overlays kept: a few hundred bytes each. */
const KEPT_OVERLAYS = 500;

/** What the difference shows where only A has a picture: neither black, which is "equal", nor bright. */
const ONLY_A = [70, 70, 70];

/** Longer side at which a crop's place is sharpened, pixels; larger pictures than the stage's are left as they are. */
const SHARPEN_SIDE = 480;
const SHARPEN_LARGEST = 2400;

/** First and last step of sharpening, pixels of that side: thumbnails are off by one at most. */
const SHARPEN_STEPS = [1, 0.5, 0.25];

/** Pixels from here on in opacity are B's; less is its rim. */
const OPAQUE = 250;

class Overlays {
  constructor(page) {
    this.page = page;
    this.known = new Map();
  }

  /** Return a promise of how B of a pair lies on A. */
  want(position) {
    if (!this.known.has(position)) {
      const asked = this.page.channel.ask("overlay", { position });
      asked.catch(() => this.known.delete(position));
      this.known.set(position, asked);
      if (this.known.size > KEPT_OVERLAYS) this.known.delete(this.known.keys().next().value);
    }
    return this.known.get(position);
  }

  /** Lay picture B on the frame in which A lies: by CSS alone, so that its pixels are its own at every zoom. */
  lay(picture, overlay, frame) {
    const [width, height] = [picture.naturalWidth, picture.naturalHeight];
    const [top, left, high, wide] = overlay.window_b;
    Object.assign(picture.style, {
      position: "absolute",
      left: 0,
      top: 0,
      width: `${width}px`,
      height: `${height}px`,
      maxWidth: "none",
      objectFit: "fill",
      transformOrigin: "0 0",
      transform: `matrix(${overlayMatrix(overlay, width, height, frame).join(", ")})`,
      clipPath: `inset(${100 * top}% ${100 * (1 - left - wide)}% ${100 * (1 - top - high)}% ${100 * left}%)`,
    });
  }

  /** Show a picture as it is, in the middle of its pane. */
  unlay(picture, transform) {
    for (const name of ["position", "left", "top", "width", "height", "maxWidth", "objectFit", "transformOrigin", "clipPath"]) picture.style[name] = "";
    picture.style.transform = transform;
  }
}

/** Return the matrix (of CSS, and of canvas) that takes B's pixels to a frame in which A lies. */
function overlayMatrix({ matrix: [xx, yx, xy, yy, x0, y0] }, width, height, frame) {
  return [(frame.width * xx) / width, (frame.height * yx) / width, (frame.width * xy) / height, (frame.height * yy) / height, frame.left + frame.width * x0, frame.top + frame.height * y0];
}

/** Return the pixels of a picture drawn to a size; of B with an overlay, only what A shows too. */
function drawn(picture, width, height, overlay) {
  const canvas = element("canvas", { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  if (overlay) {
    const [top, left, high, wide] = overlay.window_b;
    const [w, h] = [picture.naturalWidth, picture.naturalHeight];
    context.setTransform(...overlayMatrix(overlay, w, h, { left: 0, top: 0, width, height }));
    context.drawImage(picture, left * w, top * h, wide * w, high * h, left * w, top * h, wide * w, high * h);
  } else {
    context.drawImage(picture, 0, 0, width, height);
  }
  return context.getImageData(0, 0, width, height);
}

/** Return |A - B|, four times brighter, as pixels, and the mean difference where both have a picture. */
function difference(a, b) {
  const pixels = new ImageData(a.width, a.height);
  let [sum, n] = [0, 0];
  for (let i = 0; i < a.data.length; i += 4) {
    const both = b.data[i + 3] >= OPAQUE;
    for (let channel = 0; channel < 3; channel += 1) {
      const apart = Math.abs(a.data[i + channel] - b.data[i + channel]);
      pixels.data[i + channel] = both ? 4 * apart : ONLY_A[channel];
      sum += both ? apart : 0;
    }
    pixels.data[i + 3] = 255;
    n += both ? 3 : 0;
  }
  return { mean: n ? sum / n : 0, pixels };
}

/** Return the mean difference of two pictures where both have one. */
function misfit(a, b) {
  let [sum, n] = [0, 0];
  for (let i = 0; i < a.length; i += 4) {
    if (b[i + 3] < OPAQUE) continue;
    sum += Math.abs(a[i] - b[i]) + Math.abs(a[i + 1] - b[i + 1]) + Math.abs(a[i + 2] - b[i + 2]);
    n += 3;
  }
  return n ? sum / n : 255;
}

/** Return an overlay moved by (x, y) and stretched by (wider, higher) about the middle of the part that A shows. */
function movedOverlay(overlay, [x, y, wider, higher]) {
  const [xx, yx, xy, yy, x0, y0] = overlay.matrix;
  const [top, left, high, wide] = overlay.window_a;
  const [middleX, middleY] = [left + wide / 2, top + high / 2];
  const [w, h] = [1 + wider, 1 + higher];
  return { ...overlay, matrix: [w * xx, h * yx, w * xy, h * yy, middleX + w * (x0 - middleX) + x, middleY + h * (y0 - middleY) + y] };
}

/**
 * Return the overlay of a crop, moved until the two pictures agree best: thumbnails know its place to a pixel of the
 * stage, which shows as bright edges. Pictures that are whole lie where they lie.
 */
function sharpened(a, b, overlay) {
  const isWhole = [overlay.window_a, overlay.window_b].every(([, , high, wide]) => high === 1 && wide === 1);
  const longest = Math.max(a.naturalWidth, a.naturalHeight, b.naturalWidth, b.naturalHeight);
  if (isWhole || longest > SHARPEN_LARGEST) return overlay;
  const scale = Math.min(1, SHARPEN_SIDE / Math.max(a.naturalWidth, a.naturalHeight));
  const [width, height] = [Math.round(a.naturalWidth * scale), Math.round(a.naturalHeight * scale)];
  const below = drawn(a, width, height, null).data;
  const tried = (moves) => misfit(below, drawn(b, width, height, movedOverlay(overlay, moves)).data);
  let best = [0, 0, 0, 0];
  let least = tried(best);
  for (const step of SHARPEN_STEPS) {
    for (const part of [0, 1, 2, 3, 0, 1, 2, 3]) {
      for (const sign of [-1, 1]) {
        const next = best.map((value, i) => value + (i === part ? (sign * step) / [width, height][part % 2] : 0));
        const found = tried(next);
        if (found < least) [best, least] = [next, found];
      }
    }
  }
  return movedOverlay(overlay, best);
}
