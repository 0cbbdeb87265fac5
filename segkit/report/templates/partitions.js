// Partitions of the customers shown, counted and compared.

/** Customers by label, those left out before clustering aside. */
function groupSizes(labels) {
  const sizes = new Map();
  for (const label of labels) if (label !== LEFT_OUT) sizes.set(label, (sizes.get(label) || 0) + 1);
  return sizes;
}

/** Cross table of two partitions over the customers that are in both; groups ascend, noise last. */
function crossTable(a, b) {
  const groups = (labels) => [...groupSizes(labels).keys()].sort((x, y) => (x < 0) - (y < 0) || x - y);
  const rows = groups(a), columns = groups(b);
  const rowAt = new Map(rows.map((group, i) => [group, i])), columnAt = new Map(columns.map((group, i) => [group, i]));
  const counts = rows.map(() => new Array(columns.length).fill(0));
  for (let i = 0; i < a.length; i += 1) {
    if (a[i] !== LEFT_OUT && b[i] !== LEFT_OUT) counts[rowAt.get(a[i])][columnAt.get(b[i])] += 1;
  }
  return { rows, columns, counts };
}

/** Adjusted Rand index (Hubert and Arabie 1985) of a cross table, noise as a group of its own. */
function adjustedRand({ counts, columns }) {
  const pairs = (n) => (n * (n - 1)) / 2;
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const rowSums = counts.map(sum), columnSums = columns.map((_, j) => sum(counts.map((row) => row[j])));
  const total = pairs(sum(rowSums));
  const together = sum(counts.flat().map(pairs)), a = sum(rowSums.map(pairs)), b = sum(columnSums.map(pairs));
  const expected = total ? (a * b) / total : 0, most = (a + b) / 2;
  return most === expected ? 1 : (together - expected) / (most - expected);
}

/** The agreement of two runs; null where this page does not hold the labels of both. */
function agreement(study, ...runs) {
  const labels = runs.sort().map((run) => labelsOf(study, run));
  return labels.every(Boolean) ? once(study.agreements, runs.join(), () => adjustedRand(crossTable(...labels))) : null;
}

/** Which customers pass every filter (a range of codes of a feature); null where there is no filter. */
function matching(study, filters) {
  const tests = filters.map((filter) => ({ ...filter, codes: codesOf(study, filter.feature) })).filter((t) => t.codes);
  if (!tests.length) return null;
  const passes = new Uint8Array(study.meta.shown).fill(1);
  for (const { codes, low, high } of tests) {
    for (let row = 0; row < passes.length; row += 1) {
      if (codes[row] === MISSING || codes[row] < low || codes[row] > high) passes[row] = 0;
    }
  }
  return passes;
}
