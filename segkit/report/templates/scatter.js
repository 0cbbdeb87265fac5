// An embedding on a canvas, coloured by a run's labels.

const NEAR = 9;
const MARGIN = 14;
const MANY = 6_000;
const DIM = -3;

/** `show(view)` draws {plane, labels, segment, passes}; hovering names a point's segment, a click picks it. */
function scatter(host, pick) {
  const canvas = make("canvas", { role: "img" }), tip = make("div", { class: "tip", "aria-hidden": "true" });
  host.replaceChildren(canvas, tip);
  let view = null, place = null;

  function show(next) {
    view = next;
    canvas.setAttribute("aria-label", view.title);
    paint();
  }

  function paint() {
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!view || !width) return;
    const density = Math.max(1, window.devicePixelRatio || 1), pen = canvas.getContext("2d");
    canvas.width = Math.round(width * density);
    canvas.height = Math.round(height * density);
    pen.scale(density, density);
    place = placed(view.plane, width, height);
    const { labels, plane, passes, segment } = view;
    const lit = (row) => Boolean(!passes || passes[row]) && (segment === null || labels[row] === segment);
    const mark = marker(pen, Math.max(1, 4.6 - 0.75 * Math.log10(labels.length)), density, labels.length > MANY);
    for (const front of passes || segment !== null ? [false, true] : [true]) {
      for (let row = 0; row < labels.length; row += 1) {
        if (labels[row] === LEFT_OUT || plane.x[row] === 65535 || lit(row) !== front) continue;
        mark(front ? labels[row] : DIM, place.left(plane.x[row]), place.top(plane.y[row]));
      }
    }
    pen.globalAlpha = 1;
    nameSegments(pen);
  }

  // A segment's number stands at the member nearest to its mean, which for a bent one is still inside.
  function nameSegments(pen) {
    const style = getComputedStyle(canvas);
    pen.font = `600 13px ${style.fontFamily}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.lineJoin = "round";
    pen.lineWidth = 4;
    for (const [segment, row] of middles(view)) {
      if (view.segment !== null && view.segment !== segment) continue;
      const x = place.left(view.plane.x[row]), y = place.top(view.plane.y[row]);
      pen.strokeStyle = style.backgroundColor;
      pen.strokeText(segment, x, y);
      pen.fillStyle = style.color;
      pen.fillText(segment, x, y);
    }
  }

  function nearest(event) {
    const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    let best = -1, least = NEAR * NEAR;
    if (!view || !place) return { row: best };
    for (let row = 0; row < view.labels.length; row += 1) {
      if (view.labels[row] === LEFT_OUT || view.plane.x[row] === 65535) continue;
      const distance = (place.left(view.plane.x[row]) - x) ** 2 + (place.top(view.plane.y[row]) - y) ** 2;
      if (distance < least) [best, least] = [row, distance];
    }
    return { row: best, x, y };
  }

  canvas.addEventListener("mousemove", (event) => {
    const { row, x, y } = nearest(event);
    tip.classList.toggle("on", row >= 0);
    canvas.classList.toggle("over", row >= 0);
    if (row < 0) return;
    tip.textContent = view.tell(row);
    tip.style.left = `${Math.min(x + 12, canvas.clientWidth - tip.offsetWidth - 4)}px`;
    tip.style.top = `${Math.max(4, y - 34)}px`;
  });
  canvas.addEventListener("mouseleave", () => tip.classList.remove("on"));
  canvas.addEventListener("click", (event) => {
    const { row } = nearest(event);
    if (row >= 0) pick(view.labels[row]);
  });
  new ResizeObserver(paint).observe(canvas);
  return { show, paint };
}

/** Draws points: round ones, or squares where they are so many that round ones take too long. */
function marker(pen, radius, density, many) {
  const alpha = (label) => (label === DIM ? 0.3 : label < 0 ? 0.5 : 0.85), stamps = new Map();
  let last = null;
  if (many) {
    return (label, x, y) => {
      if (label !== last) [last, pen.fillStyle, pen.globalAlpha] = [label, colourOf(label), alpha(label)];
      pen.fillRect(x - radius, y - radius, 2 * radius, 2 * radius);
    };
  }
  const half = radius + 1, side = Math.ceil(2 * half * density);
  function stamp(label) {
    const image = make("canvas", { width: side, height: side }), ink = image.getContext("2d");
    [ink.fillStyle, ink.globalAlpha] = [colourOf(label), alpha(label)];
    ink.arc(side / 2, side / 2, radius * density, 0, 2 * Math.PI);
    ink.fill();
    return image;
  }
  return (label, x, y) => {
    if (!stamps.has(label)) stamps.set(label, stamp(label));
    pen.drawImage(stamps.get(label), x - half, y - half, side / density, side / density);
  };
}

/** Fits a plane into a rectangle, the same scale for both axes. */
function placed({ x, y }, width, height) {
  const top = (values) => values.reduce((most, value) => (value !== 65535 && value > most ? value : most), 1);
  const wide = top(x), high = top(y);
  const scale = Math.min((width - 2 * MARGIN) / wide, (height - 2 * MARGIN) / high);
  const left = (width - wide * scale) / 2, bottom = (height + high * scale) / 2;
  return { left: (value) => left + value * scale, top: (value) => bottom - value * scale };
}

/** Segment to the row of its member nearest to the segment's mean in the plane. */
function middles({ plane: { x, y }, labels }) {
  const sums = new Map(), nearest = new Map();
  const each = (work) => {
    for (let row = 0; row < labels.length; row += 1) if (labels[row] >= 0 && x[row] !== 65535) work(row, labels[row]);
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
