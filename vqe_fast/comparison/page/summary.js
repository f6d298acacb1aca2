// The means over all frames of this page, as a table.
const summarise = (table, data) => {
  const mean = (values) => {
    const known = values.filter((value) => value !== null);
    return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
  };
  const cell = (row, kind, text) => {
    const element = document.createElement(kind);
    element.textContent = text;
    row.append(element);
    return element;
  };
  const shown = CURVES.map((curve) => {
    const means = Object.entries(data.curves[curve.key]).map(([name, values]) => [name, mean(values)]);
    return { ...curve, means: Object.fromEntries(means) };
  });
  const head = table.createTHead().insertRow();
  cell(head, "th", "Mean").scope = "col";
  for (const { name, unit } of shown) cell(head, "th", unit ? `${name}, ${unit}` : name).scope = "col";
  const body = table.createTBody();
  for (const key of ["A", "B", "AB"]) {
    if (!shown.some(({ means }) => key in means)) continue;
    const row = body.insertRow();
    row.className = `of-${key}`;
    cell(row, "th", lineName(key)).scope = "row";
    for (const { means, digits } of shown) cell(row, "td", key in means ? inWords(means[key], digits) : "");
  }
  if (data.videos.length < 3) return;
  const row = body.insertRow();
  cell(row, "th", "B−A").scope = "row";
  for (const { means, digits, gain } of shown) {
    cell(row, "td", gain ? gained(means.A, means.B, digits) : "");
  }
};
