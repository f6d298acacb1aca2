// Figures of all frames as curves, with the playhead; a click goes to the frame.
const CURVES = [
  { key: "psnr", name: "PSNR", unit: "dB", digits: 2, gain: true },
  { key: "ssim", name: "SSIM", unit: "", digits: 4, gain: true },
  { key: "qp", name: "QP", unit: "", digits: 1 },
  { key: "size", name: "Bytes", unit: "", digits: 0, fromZero: true },
];
const TYPE_HEIGHTS = { I: 1, P: 0.62, B: 0.34, "?": 0.16 };
const LEFT = 52; // room for the numbers of the axis

const svg = (name, attributes) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};

const inWords = (value, digits) => {
  if (value === null || value === undefined) return "–";
  if (value === Infinity) return "∞";
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
};

const gained = (before, after, digits) => {
  const gain = after - before;
  if (Number.isNaN(gain)) return "–";
  return (gain > 0 ? "+" : gain < 0 ? "−" : "±") + inWords(Math.abs(gain), digits);
};

const lineName = (key) => (key.length > 1 ? `${key[0]}–${key[1]}` : key);

class Curves {
  constructor(parent, data, seek) {
    this.count = data.seconds.length;
    this.seek = seek;
    this.charts = [];
    const against = data.videos.length > 2 ? " against R" : "";
    for (const curve of CURVES) {
      const lines = Object.entries(data.curves[curve.key]);
      const known = lines.filter(([, values]) => values.some((value) => value !== null));
      if (!known.length) continue;
      this.charts.push(this.chart(parent, curve, curve.gain ? against : "", known));
    }
    const types = Object.entries(data.types).map(([letter, all]) => [letter, [...all]]);
    this.charts.push(this.chart(parent, { key: "types", name: "Types", unit: "" }, "", types));
    new ResizeObserver(() => this.resize()).observe(parent);
  }

  chart(parent, curve, title, lines) {
    const box = document.createElement("section");
    box.className = `curve ${curve.key}`;
    const head = document.createElement("h2");
    head.textContent = curve.name;
    const small = document.createElement("small");
    small.textContent = title + (curve.unit && `, ${curve.unit}`);
    head.append(small);
    const values = document.createElement("p");
    values.className = "values";
    const picture = svg("svg", { role: "img", "aria-label": this.summary(curve, title, lines) });
    box.append(head, values, picture);
    parent.append(box);
    const chart = { curve, lines, picture, values, head: null };
    const go = (event) => {
      const { left, width } = picture.getBoundingClientRect();
      const share = (event.clientX - left - LEFT) / (width - LEFT);
      this.seek(Math.min(Math.max(Math.floor(share * this.count), 0), this.count - 1));
    };
    picture.addEventListener("pointerdown", (event) => {
      picture.setPointerCapture(event.pointerId);
      go(event);
    });
    picture.addEventListener("pointermove", (event) => event.buttons && go(event));
    return chart;
  }

  summary(curve, title, lines) {
    if (curve.key === "types") {
      return lines.map(([name, types]) => `${name}: ${types.join("")}`).join("; ");
    }
    const parts = lines.map(([name, values]) => {
      const numbers = values.filter((value) => value !== null);
      const ends = [Math.min(...numbers), Math.max(...numbers)];
      const [least, most] = ends.map((value) => inWords(value, curve.digits));
      return `${lineName(name)} from ${least} to ${most}`;
    });
    return `${curve.name}${title}: ${parts.join("; ")}`;
  }

  resize() {
    for (const chart of this.charts) {
      const { width } = chart.picture.getBoundingClientRect();
      const height = chart.curve.key === "types" ? 18 * chart.lines.length + 4 : this.tall();
      chart.picture.setAttribute("height", height);
      chart.picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
      chart.picture.replaceChildren();
      if (chart.curve.key === "types") this.drawTypes(chart, width, height);
      else this.drawLines(chart, width, height);
      chart.head = svg("line", { class: "playhead", y1: 0, y2: height });
      chart.picture.append(chart.head);
    }
    this.show(this.index ?? 0);
  }

  tall() {
    return Math.min(Math.max((window.innerHeight - 500) / 4, 80), 140);
  }

  // The middle of a frame's share of the width.
  x(index, width) {
    return LEFT + ((index + 0.5) * (width - LEFT)) / this.count;
  }

  drawLines({ curve, lines, picture }, width, height) {
    const numbers = lines.flatMap(([, values]) => values).filter(Number.isFinite);
    let [low, high] = numbers.length ? [Math.min(...numbers), Math.max(...numbers)] : [0, 1];
    if (curve.fromZero) low = 0;
    if (low === high) [low, high] = [low - 0.5, high + 0.5];
    const y = (value) => {
      if (value === Infinity) return 4;
      return height - 7 - ((value - low) / (high - low)) * (height - 16);
    };
    for (const value of [low, (low + high) / 2, high]) {
      picture.append(svg("line", { class: "grid", x1: LEFT, x2: width, y1: y(value), y2: y(value) }));
      const text = svg("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" });
      text.textContent = shortened(value, high - low);
      picture.append(text);
    }
    for (const [name, values] of lines) {
      let path = "";
      values.forEach((value, i) => {
        const command = i && values[i - 1] !== null ? "L" : "M";
        if (value !== null) path += `${command}${this.x(i, width).toFixed(1)} ${y(value).toFixed(1)}`;
      });
      if (values.length === 1) path += "h.01";
      picture.append(svg("path", { class: `line of-${name}`, d: path }));
    }
  }

  drawTypes({ lines, picture }, width) {
    const cell = (width - LEFT) / this.count;
    lines.forEach(([name, types], row) => {
      const text = svg("text", { x: LEFT - 6, y: 18 * row + 15, "text-anchor": "end" });
      text.textContent = name;
      picture.append(text);
      types.forEach((type, i) => {
        const tall = 14 * TYPE_HEIGHTS[type];
        picture.append(
          svg("rect", {
            class: `type is-${type === "?" ? "other" : type}`,
            x: LEFT + i * cell,
            width: Math.max(cell - (cell > 3 ? 1 : 0), 0.5),
            y: 18 * row + 17 - tall,
            height: tall,
          }),
        );
      });
    });
  }

  show(index) {
    this.index = index;
    for (const { curve, lines, picture, values, head } of this.charts) {
      if (!head) continue;
      const x = this.x(index, picture.viewBox.baseVal.width);
      head.setAttribute("x1", x);
      head.setAttribute("x2", x);
      const found = lines.map(([name, of]) => [name, of[index]]);
      values.replaceChildren();
      for (const [name, value] of found) {
        const said = curve.key === "types" ? value : inWords(value, curve.digits);
        const colon = curve.key === "types" ? ":" : "";
        values.append(figure(`of-${name}`, `${lineName(name)}${colon} `, said));
      }
      if (curve.gain && found.length > 1) {
        values.append(figure("gain", "B−A ", gained(found[0][1], found[1][1], curve.digits)));
      }
    }
  }
}

const figure = (kind, name, value) => {
  const span = document.createElement("span");
  span.className = kind;
  const strong = document.createElement("b");
  strong.textContent = value;
  span.append(name, strong);
  return span;
};

const shortened = (value, range) => {
  if (value >= 10000) return `${Math.round(value / 1000)}k`;
  const digits = [20, 2, 0.2, 0.02].filter((least) => range < least).length;
  return value.toFixed(digits);
};
