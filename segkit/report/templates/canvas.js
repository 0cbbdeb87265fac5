// A canvas of points: drawn sharply, named under the pointer, picked by a click.

const NEAR = 9;
const MANY = 6_000;
const DIM = -3;

/**
 * `paint(pen, { width, height, density, style })` draws and returns where the points are: {x, y}, not a number for
 * those that are not to be found. `tell(point)` names one, `pick(point, event)` takes a click on it, and where there is
 * a `drag`, it takes the corners of a part that the mouse was drawn over, if it is wider than `narrowest`.
 */
function surface(host, { paint, tell, pick, drag, narrowest = NEAR }) {
  const canvas = make("canvas", { role: "img" }), tip = make("div", { class: "tip", "aria-hidden": "true" });
  const ring = make("div", { class: "tip here", "aria-hidden": "true" });
  let at = null, dragged = false;
  host.replaceChildren(canvas, tip, ring);

  function repaint() {
    const width = canvas.clientWidth, height = canvas.clientHeight;
    leave();
    if (!width) return;
    const density = Math.max(1, window.devicePixelRatio || 1), pen = canvas.getContext("2d");
    canvas.width = Math.round(width * density);
    canvas.height = Math.round(height * density);
    pen.scale(density, density);
    at = paint(pen, { width, height, density, style: getComputedStyle(canvas) });
  }

  function placeOf(event) {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  function nearest(event) {
    const [x, y] = placeOf(event);
    let best = -1, least = NEAR * NEAR;
    for (let i = 0; at && i < at.x.length; i += 1) {
      const distance = (at.x[i] - x) ** 2 + (at.y[i] - y) ** 2;
      if (distance < least) [best, least] = [i, distance];
    }
    return best;
  }

  function leave() {
    for (const element of [canvas, tip, ring]) element.classList.remove("on");
  }

  canvas.addEventListener("mousemove", (event) => {
    const point = nearest(event);
    if (point < 0) return leave();
    const x = at.x[point], y = at.y[point];
    tip.textContent = visible(tell(point));
    for (const element of [canvas, tip, ring]) element.classList.add("on");
    const above = y - tip.offsetHeight - 10;
    tip.style.left = `${Math.max(4, Math.min(x + 12, canvas.clientWidth - tip.offsetWidth - 4))}px`;
    tip.style.top = `${above < 4 ? y + 14 : above}px`;
    [ring.style.left, ring.style.top] = [`${x}px`, `${y}px`];
  });
  canvas.addEventListener("mouseleave", leave);
  canvas.addEventListener("click", (event) => {
    const point = dragged ? -1 : nearest(event);
    if (point >= 0) pick(point, event);
  });
  if (drag) canvas.addEventListener("mousedown", (event) => {
    if (event.button === 0) marking(placeOf(event));
    event.preventDefault();
  });

  function marking(from) {
    const part = make("div", { class: "part" });
    const corners = (event) => placeOf(event).map((to, i) => [Math.min(from[i], to), Math.max(from[i], to)]);
    const move = (event) => {
      const [[left, right], [top, bottom]] = corners(event);
      part.style.inset = `${top}px auto auto ${left}px`;
      [part.style.width, part.style.height] = [`${right - left}px`, `${bottom - top}px`];
    };
    dragged = false;
    host.append(part);
    window.addEventListener("mousemove", move);
    window.addEventListener("mouseup", (event) => {
      const found = corners(event);
      window.removeEventListener("mousemove", move);
      part.remove();
      dragged = found.every(([start, end], i) => end - start > (i ? NEAR : narrowest));
      if (dragged) drag(...found, { height: canvas.clientHeight });
    }, { once: true });
  }
  new ResizeObserver(repaint).observe(canvas);
  surfaces.push(repaint);
  return { canvas, repaint };
}

/** Keeps a picture: `work(pen)` draws it anew only where one of `key` has changed, or the size. */
function kept() {
  let image = null, last = [];
  return (pen, density, key, work) => {
    const { width, height } = pen.canvas, now = [width, height, ...key];
    if (now.length !== last.length || now.some((each, i) => each !== last[i])) {
      [last, image] = [now, make("canvas", { width, height })];
      const ink = image.getContext("2d");
      ink.scale(density, density);
      work(ink);
    }
    pen.drawImage(image, 0, 0, width / density, height / density);
  };
}

const surfaces = [];
const repaintAll = () => surfaces.forEach((repaint) => repaint());

/** Draws points: round ones, or squares where they are so many that round ones take too long. */
function marker(pen, radius, density, many, styleOf) {
  const stamps = new Map();
  let last = null;
  if (many) {
    return (kind, x, y) => {
      if (kind !== last) [last, [pen.fillStyle, pen.globalAlpha]] = [kind, styleOf(kind)];
      pen.fillRect(x - radius, y - radius, 2 * radius, 2 * radius);
    };
  }
  const half = radius + 1, side = Math.ceil(2 * half * density);
  function stamp(kind) {
    const image = make("canvas", { width: side, height: side }), ink = image.getContext("2d");
    [ink.fillStyle, ink.globalAlpha] = styleOf(kind);
    ink.arc(side / 2, side / 2, radius * density, 0, 2 * Math.PI);
    ink.fill();
    return image;
  }
  return (kind, x, y) => {
    if (!stamps.has(kind)) stamps.set(kind, stamp(kind));
    pen.drawImage(stamps.get(kind), x - half, y - half, side / density, side / density);
  };
}

/** Text that stands out from the points under it. */
function haloed(pen, style, text, x, y, size = 13) {
  [pen.lineJoin, pen.lineWidth, pen.strokeStyle, pen.fillStyle] = ["round", 4, style.backgroundColor, style.color];
  pen.font = `600 ${size}px ${style.fontFamily}`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.strokeText(text, x, y);
  pen.fillText(text, x, y);
}
