(function () {
  "use strict";
  document.querySelectorAll(".leaderboard").forEach(function (board) {
    var table = board.querySelector("table.runs");
    var body = table.tBodies[0];
    var heads = Array.from(table.tHead.rows[0].cells);
    var shown = Number(table.dataset.shown);
    var controls = board.querySelector(".controls");
    var filter = board.querySelector(".filter");
    var onlyEligible = board.querySelector(".only-eligible");
    var onlyPareto = board.querySelector(".only-pareto");
    var matches = board.querySelector(".matches");
    var rows = Array.from(body.rows).map(function (row) {
      return { row: row, text: row.textContent.toLowerCase(), keys: Array.from(row.cells).map(key) };
    });

    function key(cell) {
      if (!cell.classList.contains("r")) return cell.textContent;
      var text = "v" in cell.dataset ? cell.dataset.v : cell.textContent;
      return text === "" ? null : Number(text);
    }

    function compare(a, b) {
      return typeof a === "number" ? a - b : a < b ? -1 : a > b ? 1 : 0;
    }

    function sort(column, descending) {
      var sign = descending ? -1 : 1;
      rows.sort(function (a, b) {
        var x = a.keys[column], y = b.keys[column];
        if (x === null || y === null) return (x === null) - (y === null);
        return sign * compare(x, y);
      });
      var all = document.createDocumentFragment();
      rows.forEach(function (item) { all.appendChild(item.row); });
      body.appendChild(all);
      show();
    }

    function show() {
      var wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      var count = 0;
      rows.forEach(function (item) {
        var data = item.row.dataset;
        var kept = wanted.every(function (word) { return item.text.includes(word); }) &&
          (!onlyEligible.checked || "eligible" in data) && (!onlyPareto.checked || "pareto" in data);
        item.row.hidden = !kept;
        if (kept) count += 1;
        item.row.classList.toggle("rest", kept && count > shown);
      });
      matches.textContent = count === rows.length ? "" : count + " of " + rows.length + " runs";
    }

    heads.forEach(function (head, column) {
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.textContent = "";
      head.appendChild(button);
      button.addEventListener("click", function () {
        var now = head.getAttribute("aria-sort");
        var descending = now ? now === "ascending" : head.dataset.first === "desc";
        heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", descending ? "descending" : "ascending");
        sort(column, descending);
      });
    });
    [filter, onlyEligible, onlyPareto].forEach(function (control) { control.addEventListener("input", show); });
    controls.hidden = false;
  });
})();
