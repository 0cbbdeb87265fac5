// What is written into the leaderboard's filter: words, and conditions such as k=5, scaler=robust or silhouette>0.3.

const CONDITION = /^([^<>=]+)(<=|>=|<|>|=)(.+)$/;
const COMPARES = { "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b };

/** Whether a row passes all the words: a condition where it is one on what the study knows, else a part of its texts. */
function search(study, text) {
  const tests = text.toLowerCase().split(/\s+/).filter(Boolean)
    .map((word) => conditionOf(study, word) ?? ((row) => textsOf(study)[row].includes(word)));
  return (row) => tests.every((passes) => passes(row));
}

function conditionOf(study, word) {
  const [, name, sign, told] = word.match(CONDITION) ?? [], lists = name ? valuesNamed(study, name) : [];
  if (!lists.length) return null;
  const number = told.endsWith("%") ? Number(told.slice(0, -1)) / 100 : Number(told);
  if (sign !== "=" && Number.isNaN(number)) return null;
  const fits = sign === "=" ? (value) => value === number || String(value).toLowerCase() === told
    : (value) => typeof value === "number" && COMPARES[sign](value, number);
  return (row) => lists.some((valueOf) => fits(valueOf(row)));
}

/**
 * What may be meant by a name: a column or a parameter of that name, heading or last part, or else the first column whose
 * name begins so. Each tells a row's value.
 */
function valuesNamed(study, name) {
  const plain = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, ""), wanted = plain(name);
  const means = (text) => plain(text) === wanted, last = (text) => text.slice(text.lastIndexOf(".") + 1);
  const ofColumn = ({ values }) => (row) => values[row], ofParameter = (each) => (row) => parameterOf(each, row);
  const columns = study.columns.filter((column) => means(column.name) || means(column.title));
  const parameters = study.parameters.filter((each) => means(each.name) || means(last(each.name)));
  const found = [...columns.map(ofColumn), ...parameters.map(ofParameter)];
  const near = wanted && study.columns.find((column) => plain(column.name).startsWith(wanted));
  return found.length || !near ? found : [ofColumn(near)];
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
