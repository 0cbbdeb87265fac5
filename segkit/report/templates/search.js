// What is written into the leaderboard's filter: words, and conditions such as k=5, scaler=robust or silhouette>0.3.

const SIGNS = /\s*(!=|<=|>=|==|<|>|=|\.\.)\s*/g;
const WRITTEN = { "≤": "<=", "≥": ">=", "≠": "!=" };
const CONDITION = /^([^<>=!]+)(!=|<=|>=|==|<|>|=)(.*)$/;
const COMPARES = { "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b };
// A column whose heading is no word.
const ALSO_CALLED = { place: "standing" };
const lettersOf = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");

/**
 * Whether a row passes all that is written: a condition where it is one on what the study knows, else a part of its
 * texts; and in `problems` what is no condition, and why.
 */
function search(study, text) {
  const found = wordsOf(study, text).map((word) => testOf(study, word));
  return { passes: (row) => found.every(({ passes }) => passes(row)),
    problems: found.map(({ problem }) => problem).filter(Boolean) };
}

/** What is written, word by word; a condition is one of them, also with a heading of several words before its sign. */
function wordsOf(study, text) {
  const words = [], titles = study.columns.map(({ title }) => lettersOf(title)).filter(Boolean);
  const plain = text.toLowerCase().replace(/[≤≥≠]/g, (sign) => WRITTEN[sign]).replace(SIGNS, "$1");
  const begins = (name) => titles.some((title) => title.startsWith(name));
  for (const word of plain.split(/\s+/).filter(Boolean)) {
    const [, name] = word.match(CONDITION) ?? [];
    const fits = (n) => words.length >= n && begins(lettersOf([...words.slice(-n), name].join("")));
    const taken = name ? [3, 2, 1].find(fits) : 0;
    words.push([...(taken ? words.splice(-taken) : []), word].join(" "));
  }
  return words;
}

// A part of a configuration, such as umap(n_neighbors=15), looks like a condition but is a text.
function testOf(study, word) {
  const [, name, sign, told] = word.match(CONDITION) ?? [], texts = textsOf(study);
  const asText = { passes: (row) => texts[row].includes(word) };
  if (!name) return asText;
  const condition = conditionOf(valuesNamed(study, name), name, sign, told);
  return condition.problem && texts.some((text) => text.includes(word)) ? asText : condition;
}

function conditionOf(lists, name, sign, told) {
  const wrong = (problem) => ({ passes: () => false, problem });
  if (!lists.length) return wrong(`No column or parameter is called ${name.trim()}.`);
  if (!told) return wrong(`A value is missing after ${name}${sign}.`);
  const equal = ["=", "==", "!="].includes(sign), ends = equal && told.includes("..") ? told.split("..") : [told];
  const ordered = !equal || ends.length > 1;
  const strange = ends.find((end) => Number.isNaN(numberOf(end)));
  if (ordered && strange !== undefined) return wrong(`${strange || told} is no number.`);
  if (ordered && !lists.some(({ numeric }) => numeric)) return wrong(`${name.trim()} has no numbers: only = fits it.`);
  const tests = lists.map((list) => [list.valueOf, fitting(list, sign, ends)]);
  const some = (row) => tests.some(([valueOf, fits]) => fits(valueOf(row)));
  return { passes: sign === "!=" ? (row) => !some(row) : some };
}

const numberOf = (text) => (text ? Number(text.replace(/%$/, "")) : NaN);

/** Whether a value fits; of a share that is shown in percent, 90 means 90%, and so does 1 where nothing is beyond 1. */
function fitting({ unit }, sign, ends) {
  const [one, other] = ends.map((end) => {
    const number = numberOf(end), percents = number > 1 || (number === 1 && ["<", ">"].includes(sign));
    return end.endsWith("%") || (unit === "%" && percents) ? number / 100 : number;
  });
  const [low, high] = other < one ? [other, one] : [one, other];
  if (COMPARES[sign]) return (value) => typeof value === "number" && COMPARES[sign](value, low);
  if (high !== undefined) return (value) => typeof value === "number" && low <= value && value <= high;
  return (value) => value === low || String(value).toLowerCase() === ends[0];
}

/**
 * What may be meant by a name: the columns and parameters of that name, heading or last part, or else the first one
 * that begins so, or has a word that does. Each tells a row's value.
 */
function valuesNamed(study, name) {
  const wanted = lettersOf(name), last = (text) => text.slice(text.lastIndexOf(".") + 1);
  const ofColumn = (column) => ({ texts: [column.name, column.title], unit: column.unit,
    numeric: column.kind === "number", valueOf: (row) => column.values[row] });
  const ofParameter = (parameter) => ({ texts: [parameter.name, last(parameter.name)],
    numeric: parameter.values.some((value) => typeof value === "number"),
    valueOf: (row) => parameterOf(parameter, row) });
  const all = [...study.columns.map(ofColumn), ...study.parameters.map(ofParameter)];
  const among = (means) => all.filter(({ texts }) => texts.some(means));
  if (!wanted) return among((text) => text === name.trim());
  const same = among((text) => lettersOf(text) === wanted || text === ALSO_CALLED[wanted]);
  if (same.length) return same;
  const begins = among((text) => lettersOf(text).startsWith(wanted));
  const holds = among((text) => text.split(/[^\p{L}\p{N}]+/u).some((word) => lettersOf(word).startsWith(wanted)));
  return [...begins, ...holds].slice(0, 1);
}

/** Words and conditions that the best run passes: its clusterer, its number of segments, less than its silhouette. */
function exampleOf(study) {
  const row = study.position.get(study.meta.best) ?? 0, values = (name) => study.table[name]?.[row];
  const [clusterer] = (values("clusterer_label") ?? "").match(/^\w+/) ?? [], k = values("n_clusters");
  const silhouette = values("silhouette_reference"), below = (Math.ceil(20 * silhouette) - 1) / 20;
  return [clusterer, absent(k) ? null : `k=${k}`, absent(silhouette) ? null : `silhouette>${below}`].filter(Boolean);
}

/** What of each run words are looked for in. */
function textsOf(study) {
  return once(study.views, "texts", () => {
    const told = study.columns.filter((column) => column.kind !== "number");
    const varying = study.parameters.filter((parameter) => parameter.values.length > 1);
    return study.table.run.map((run, row) => [run, ...told.map((column) => cellText(study, column, row)),
      ...varying.map((each) => `${each.name}=${parameterOf(each, row)}`)].join(" ").toLowerCase());
  });
}
