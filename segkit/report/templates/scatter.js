// An embedding, coloured by a run's labels.

const MARGIN = 14;
const NOWHERE = 65535;

/** `show(view)` draws {plane, labels, segment, passes}; hovering names a point's segment, a click picks it. */
function scatter(host, pick) {
  let view = null;
  const tell = (row) => segmentTitle(view.labels[row]);
  const face = surface(host, { paint, tell, pick: (row) => pick(view.labels[row]) });

  function show(next) {
    view = next;
    face.canvas.setAttribute("aria-label", visible(view.title));
    face.repaint();
  }

  function paint(pen, { width, height, density, style }) {
    if (!view) return null;
    const { labels, passes, segment } = view, at = placed(view, width, height), n = labels.length;
    const alpha = (label) => (label === DIM ? 0.3 : label < 0 ? 0.5 : 0.85);
    const mark = marker(pen, Math.max(1, 4.6 - 0.75 * Math.log10(n)), density, n > MANY,
      (label) => [colourOf(label), alpha(label)]);
    const lit = (row) => Boolean(!passes || passes[row]) && (segment === null || labels[row] === segment);
    for (const front of passes || segment !== null ? [false, true] : [true]) {
      for (let row = 0; row < n; row += 1) {
        if (at.x[row] >= 0 && lit(row) === front) mark(front ? labels[row] : DIM, at.x[row], at.y[row]);
      }
    }
    pen.globalAlpha = 1;
    for (const [label, row] of middles(at, labels)) {
      if (segment === null || segment === label) haloed(pen, style, label, at.x[row], at.y[row]);
    }
    return at;
  }

  return show;
}

/** Fits a plane into a rectangle, the same scale for both axes; customers without a label or a place are nowhere. */
function placed({ plane: { x, y }, labels }, width, height) {
  const top = (values) => values.reduce((most, value) => (value !== NOWHERE && value > most ? value : most), 1);
  const wide = top(x), high = top(y);
  const scale = Math.min((width - 2 * MARGIN) / wide, (height - 2 * MARGIN) / high);
  const left = (width - wide * scale) / 2, bottom = (height + high * scale) / 2;
  const here = (row) => labels[row] !== LEFT_OUT && x[row] !== NOWHERE;
  return { x: Float32Array.from(x, (value, row) => (here(row) ? left + value * scale : NaN)),
    y: Float32Array.from(y, (value) => bottom - value * scale) };
}

/** Segment to the row of its member nearest to the segment's mean, which for a bent one is still inside. */
function middles({ x, y }, labels) {
  const sums = new Map(), nearest = new Map();
  const each = (work) => {
    for (let row = 0; row < labels.length; row += 1) if (labels[row] >= 0 && x[row] >= 0) work(row, labels[row]);
  };
  each((row, label) => {
    const sum = sums.get(label) || sums.set(label, [0, 0, 0]).get(label);
    sum[0] += 1;
    sum[1] += x[row];
    sum[2] += y[row];
  });
  each((row, label) => {
    const [n, sumX, sumY] = sums.get(label);
    const distance = (x[row] - sumX / n) ** 2 + (y[row] - sumY / n) ** 2;
    if (!(nearest.get(label)?.[0] <= distance)) nearest.set(label, [distance, row]);
  });
  return [...nearest].map(([label, [, row]]) => [label, row]);
}
