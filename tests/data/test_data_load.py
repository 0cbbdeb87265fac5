from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from segkit.data import source
from segkit.errors import UsageError


def load(path: Path, **options):
    return source(
        {"_target_": "segkit.data.sources.TableFile", "path": str(path), **options}
    ).load()


@pytest.fixture
def write(tmp_path):
    def write(content: str | bytes, name: str = "t.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def error_of(path: Path, **options) -> str:
    with pytest.raises(UsageError) as caught:
        load(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


MIXED = (
    "id,age,member,city,spend\n"
    "a,31,True,Rome,1.5\n"
    "b,,False,,-2e3\n"
    "c,40,true,Oslo,NA\n"
    "d,52,FALSE,Rome,.25\n"
)


def test_kinds_of_columns(write):
    table = load(write(MIXED), id="id")
    frame = table.frame
    assert list(frame.columns) == ["age", "member", "city", "spend"]
    assert [str(kind) for kind in frame.dtypes] == ["float64", "bool", "object", "float64"]
    np.testing.assert_array_equal(frame["age"], [31, np.nan, 40, 52])
    np.testing.assert_array_equal(frame["spend"], [1.5, -2000, np.nan, 0.25])
    assert frame["member"].tolist() == [True, False, True, False]
    assert frame["city"].tolist() == ["Rome", None, "Oslo", "Rome"]
    assert table.ids.tolist() == ["a", "b", "c", "d"]
    assert table.truth is None
    assert table.warnings == ()


def test_without_an_id_column_customers_are_numbered_from_one(write):
    table = load(write("A,B\n5,1\n6,0\n7,1\n"))
    assert table.ids.tolist() == [1, 2, 3]
    assert table.ids.dtype == np.int64


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["3", "1", "-20"], [3, 1, -20]),
        (["01", "1", "2"], ["01", "1", "2"]),
        (["7", "x", "9"], ["7", "x", "9"]),
    ],
)
def test_ids_are_whole_numbers_only_if_written_so(write, given, expected):
    path = write("k,A\n" + "".join(f"{name},{i}\n" for i, name in enumerate(given)))
    assert load(path, id="k").ids.tolist() == expected


def test_the_usual_missing_markers(write):
    markers = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]
    path = write("A,B,C\n1,x,1\n2,y,2\n" + "".join(f"{m},{m},3\n" for m in markers))
    frame = load(path).frame
    assert frame[["A", "B"]].isna().sum().tolist() == [8, 8]


@pytest.mark.parametrize(
    "options", [{"columns": ["spend", "age"]}, {"drop": ["member", "city", "id"]}]
)
def test_columns_to_use_or_to_leave_out_keep_the_order_of_the_file(write, options):
    assert list(load(write(MIXED), id="id", **options).frame.columns) == ["age", "spend"]


def test_what_is_wrong_in_a_column_that_is_not_used_does_not_matter(write):
    path = write("id,note,A\n" + "".join(f"{i},text number {i},{i}\n" for i in range(80)))
    assert load(path, id="id", drop=["note"]).frame.shape == (80, 1)


def test_a_column_may_be_called_by_a_number(write):
    path = write("1,2,3\n9,4,5\n8,5,7\n")
    table = load(path, id=1, drop=[3])
    assert (list(table.frame.columns), table.ids.tolist()) == (["2"], [9, 8])


def test_separators_decimal_marks_and_encodings(write):
    path = write("naïve;größe\n1,5;2\n-0,25;1e1\n".encode("latin-1"))
    frame = load(path, separator=";", decimal=",", encoding="latin-1").frame
    assert list(frame.columns) == ["naïve", "größe"]
    np.testing.assert_array_equal(frame.to_numpy(), [[1.5, 2], [-0.25, 10]])
    for separator in ("\t", "\\t"):
        assert load(write("a\tb\n1\t2\n3\t4\n"), separator=separator).frame.shape == (2, 2)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_part_of_a_name(write, encoding):
    content = "Ä,B\n1,2\n3,4\n".encode("utf-8-sig" if encoding == "utf-8" else encoding)
    assert list(load(write(content), encoding=encoding).frame.columns) == ["Ä", "B"]


def test_blanks_quotes_and_blank_lines(write):
    path = write('id, A ,"B, too"\n\nx, 1 ,"two\nlines"\ny,2,other\n\n')
    table = load(path, id="id")
    assert list(table.frame.columns) == ["A", "B, too"]
    assert table.frame["A"].tolist() == [1, 2]
    assert table.frame["B, too"].tolist() == ["two\nlines", "other"]


def test_numbers_are_read_exactly(write):
    rng = np.random.default_rng(0)
    values = rng.standard_normal(2000) * 10.0 ** rng.integers(-20, 20, 2000)
    path = write("A\n" + "".join(f"{value!r}\n" for value in values.tolist()))
    np.testing.assert_array_equal(load(path).frame["A"], values)


def test_booleans_with_missing_values_become_numbers(write):
    frame = load(write("A,B\ntrue,1\n,2\nfalse,3\n")).frame
    np.testing.assert_array_equal(frame["A"], [1, np.nan, 0])


def test_dates_are_categories(write):
    frame = load(write("A,B\n2020-01-01,1\n2021-01-01,2\n")).frame
    assert frame["A"].tolist() == ["2020-01-01", "2021-01-01"]


def test_parquet_and_csv_have_the_same_fingerprint(write, tmp_path):
    csv = write(MIXED)
    frame = pd.read_csv(csv, dtype={"member": bool})
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    frame.astype({"city": "category", "id": "category"}).to_parquet(
        tmp_path / "u.parquet", index=False
    )
    frame.set_index("id").to_parquet(tmp_path / "index.pq")
    expected = load(csv, id="id").fingerprint()
    for name in ("t.parquet", "u.parquet"):
        assert load(tmp_path / name, id="id").fingerprint() == expected
    assert load(tmp_path / "index.pq", id="id").fingerprint() == expected


def test_parquet_kinds(tmp_path):
    from decimal import Decimal

    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "id": pa.array([2**40, 5, 6]),
        "small": pa.array([1, 2, None], pa.int8()),
        "single": pa.array([0.5, float("nan"), 2], pa.float32()),
        "money": pa.array([Decimal("1.50"), None, Decimal("2.25")]),
        "flag": pa.array([True, None, False]),
        "text": pa.array(["1.5", "2", "NA"], pa.large_string()),
        "day": pa.array([0, 1, 2], pa.date32()),
    }
    pq.write_table(pa.table(columns), tmp_path / "noname")
    table = load(tmp_path / "noname", id="id")
    assert table.ids.tolist() == [2**40, 5, 6]
    assert table.frame["day"].tolist() == ["1970-01-01", "1970-01-02", "1970-01-03"]
    expected = {"small": [1, 2, np.nan], "single": [0.5, np.nan, 2], "money": [1.5, np.nan, 2.25]}
    expected |= {"flag": [1, np.nan, 0], "text": [1.5, 2, np.nan]}
    for name, values in expected.items():
        assert table.frame[name].dtype == np.float64
        np.testing.assert_array_equal(table.frame[name], values)


def test_parquet_ids_written_as_floats_are_whole_numbers(tmp_path):
    pd.DataFrame({"id": [3.0, 1.0], "A": [1, 2]}).to_parquet(tmp_path / "t.parquet")
    assert load(tmp_path / "t.parquet", id="id").ids.tolist() == [3, 1]


def test_useless_columns_are_left_out_with_a_warning(write):
    path = write("A,empty,same,wide,word,half\n1,,7,1,x,2\n2,NA,7,inf,x,\n3,,7,2,x,2\n")
    table = load(path)
    assert list(table.frame.columns) == ["A"]
    assert len(table.warnings) == 5
    for name, why in [
        ("empty", "missing"),
        ("same", "constant"),
        ("wide", "infinite"),
        ("word", "constant"),
        ("half", "constant"),
    ]:
        assert any(f"'{name}'" in warning and why in warning for warning in table.warnings)


def test_a_column_without_a_name_is_left_out_with_a_warning(write, tmp_path):
    table = load(write(",A\n0,5\n1,6\n"))
    assert list(table.frame.columns) == ["A"]
    assert "column 1" in table.warnings[0]
    pd.DataFrame({"A": [1, 2]}, index=[7, 9]).to_parquet(tmp_path / "t.parquet")
    assert list(load(tmp_path / "t.parquet").frame.columns) == ["A"]


TEXT_IN_NUMBERS = "id,A,B\n" + "".join(
    f"{i},{'abc' if i == 14 else i},{i % 3}\n" for i in range(20)
)

BAD_CONTENT = {
    "empty file": ("", {}, ["empty"]),
    "blank lines": ("\n\n", {}, ["blank"]),
    "header only": ("A,B\n", {}, ["header only"]),
    "header without line end": ("A,B", {}, ["header only"]),
    "not utf-8": (b"A,B\n1,x\n2,caf\xe9\n", {}, ["utf-8", "0xe9", "offset 13", "data.encoding"]),
    "not utf-8 far in": (
        b"A,B\n" + b"1,x\n" * 300_000 + b"2,\xff\n",
        {},
        ["0xff", "offset 1200006", "data.encoding"],
    ),
    "not ascii": (
        "A,B\n1,é\n".encode(),
        {"encoding": "ascii"},
        ["ascii", "offset 6", "data.encoding"],
    ),
    "workbook": (b"PK\x03\x04\x14\0", {}, ["Excel", "CSV or Parquet"]),
    "compressed": (b"\x1f\x8b\x08\0", {}, ["gzip", "CSV or Parquet"]),
    "JSON": ('[{"a": 1, "b": 2},\n {"a": 3, "b": 4}]', {}, ["is JSON"]),
    "JSON lines": ('{"a": 1}\n{"a": 2}\n', {}, ["is JSON"]),
    "web page": ("<!DOCTYPE html>\n<html>404</html>", {}, ["is HTML"]),
    "zero byte": (b"A,B\n1,2\n\0,3\n", {}, ["zero byte", "offset 8"]),
    "open quote": (
        'A,B\n1,"2\n3,4\n5,6\n',
        {},
        ["no usable", "quote that begins in row 2 is never closed"],
    ),
    "too few values": ("A,B\n1,2\n3\n4,5\n", {}, ["row 3", "has 1 values", "header 2"]),
    "too many values": ("A,B\n1,2\n\n3,4,5\n", {}, ["row 4", "has 3 values", "header 2"]),
    "ragged after quoted lines": ('A,B\n"x\ny",2\n3\n', {}, ["row 4", "has 1 values"]),
    "semicolons": ("A;B;C\n1;2;3\n", {}, ["data.separator=','", "';'"]),
    "tabs": ("A\tB\n1\t2\n", {}, ["data.separator", r"'\t'"]),
    "commas": ("A,B,C\n1,2,3\n", {"separator": ";"}, ["data.separator=','"]),
    "decimal commas": (
        "A;B\n1,5;1\n2,25;2\n3;3\n",
        {"separator": ";"},
        ["row 2", "'A'", "'1,5'", "data.decimal=','"],
    ),
    "decimal points": (
        "A;B\n1;1\n2.25;2\n",
        {"separator": ";", "decimal": ","},
        ["row 3", "'2.25'", "data.decimal='.'"],
    ),
    "text in numbers": (TEXT_IN_NUMBERS, {"id": "id"}, ["row 16", "'A'", "'abc'"]),
    "thousands": (
        'A,B\n"1,200.50",1\n' + "3,4\n" * 20 + "4,5\n",
        {},
        ["row 2", "'A'", "'1,200.50'"],
    ),
    "many categories": (
        "id,A\n" + "".join(f"{i},name {i}x\n" for i in range(51)),
        {"id": "id"},
        ["'A'", "51", "data.drop", "data.id"],
    ),
    "no such id": (
        "CUST_ID,A\nx,1\n",
        {"id": "CUSTID"},
        ["'CUSTID'", "data.id", "did you mean 'CUST_ID'"],
    ),
    "missing id": ("id,A\nx,1\n,2\n", {"id": "id"}, ["row 3", "'id'"]),
    "same id": ("id,A\nx,1\ny,2\n\nx,3\n", {"id": "id"}, ["rows 2 and 5", "'x'", "'id'"]),
    "same number as id": ("id,A\n7,1\n8,2\n8,3\n", {"id": "id"}, ["rows 3 and 4", "'8'"]),
    "same names": ("A,B,A\n1,2,3\n", {}, ["'A'", "unique"]),
    "same names but for blanks": ("A,B, A\n1,2,3\n", {}, ["'A'", "unique"]),
    "unknown column": (
        "BALANCE,B\n1,2\n",
        {"columns": ["BALNCE"]},
        ["'BALNCE'", "data.columns", "did you mean 'BALANCE'"],
    ),
    "unknown drop": ("BALANCE,B\n1,2\n", {"drop": ["C", "B"]}, ["'C'", "data.drop"]),
    "nothing but the id": ("id,B\n1,2\n", {"id": "id", "drop": ["B"]}, ["no feature column"]),
    "nothing asked for": ("A,B\n1,2\n", {"columns": []}, ["no feature column"]),
    "nothing usable": ("A,B\n1,inf\n1,2\n", {}, ["no usable", "A: constant", "B: 1 infinite"]),
    "wide separator": ("A,B\n", {"separator": "::"}, ["data.separator", "'::'"]),
    "no separator": ("A,B\n", {"separator": ""}, ["data.separator=''", "ASCII"]),
    "quote as separator": ("A,B\n", {"separator": '"'}, ["data.separator"]),
    "number as separator": ("A,B\n", {"separator": 3}, ["data.separator=3: ", "ASCII"]),
    "decimal": ("A,B\n", {"decimal": "'"}, ["data.decimal", '"\'"']),
    "decimal is separator": ("A,B\n", {"decimal": ","}, ["data.decimal", "data.separator"]),
    "unknown encoding": (
        "A,B\n",
        {"encoding": "utf-88"},
        ["data.encoding", "'utf-88'", "did you mean"],
    ),
    "no text encoding": ("A,B\n", {"encoding": "base64"}, ["data.encoding", "'base64'"]),
    "no encoding": ("A,B\n", {"encoding": None}, ["data.encoding", "None"]),
    "id ill-typed": ("A,B\n", {"id": ["A"]}, ["data.id", "['A']"]),
    "columns ill-typed": ("A,B\n", {"columns": "A"}, ["data.columns=A: ", "list", "null"]),
    "drop ill-typed": ("A,B\n", {"drop": [1.5]}, ["data.drop", "1.5"]),
    "columns and drop": ("A,B\n", {"columns": ["A"], "drop": ["B"]}, ["data.columns", "data.drop"]),
}


@pytest.mark.parametrize(
    "name", ["{{7*7}}", "<script>alert(1)</script>", "[a](b)", "PK", "%PDF", "RDX", "BZh9"]
)
def test_a_strange_name_is_no_sign_of_another_kind_of_file(write, name):
    assert list(load(write(f"{name},B\n1,2\n3,4\n")).frame) == [name, "B"]


@pytest.mark.parametrize("case", BAD_CONTENT)
def test_bad_input_gets_one_line_that_says_what_and_where(write, case):
    content, options, words = BAD_CONTENT[case]
    message = error_of(write(content, "bad.csv"), **options)
    for word in words:
        assert word in message, message
    about_an_option = message.startswith("data.")
    assert about_an_option or "bad.csv" in message


def test_a_misspelt_file_name_gets_the_nearest(write, tmp_path):
    write("A\n1\n", "customers.csv")
    message = error_of(tmp_path / "custmers.csv")
    assert "no such file" in message
    assert "did you mean 'customers.csv'" in message
    assert "no" in error_of(tmp_path / "nowhere" / "t.csv")
    assert str(tmp_path / "nowhere") in error_of(tmp_path / "nowhere" / "t.csv")


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ("nope.csv", None),
        ("hostle.csv", "hostile.csv"),
        ("hostile.cvs", "hostile.csv"),
        ("hostle.yml", "hostile.yml"),
    ],
)
def test_an_ending_alone_makes_no_file_name_alike(write, tmp_path, given, near):
    write("A\n1\n", "hostile.csv")
    write("A\n1\n", "hostile.yml")
    message = error_of(tmp_path / given)
    assert message.endswith(
        "no such file (data.path)" if near is None else f"; did you mean '{near}'?"
    )


@pytest.mark.parametrize("value", ["1.1e140", "-2e140", "1e200", "-1e308"])
def test_a_number_too_large_to_square_is_named_with_its_first_row(write, tmp_path, value):
    path = write(f"A,B\n1,3\n\n2,{value}\n3,1e300\n")
    message = (
        f"row 4, column 'B': {float(value):g} is too large to compute with; numbers from "
        "-1e+140 to 1e+140"
    )
    assert message in error_of(path)
    assert load(path, drop=["B"]).frame.columns.tolist() == ["A"]
    pd.read_csv(path).to_parquet(tmp_path / "t.parquet")
    assert "row 2, column 'B'" in error_of(tmp_path / "t.parquet")


def test_large_numbers_that_can_be_squared_and_unused_columns_are_accepted(write):
    table = load(write("A,B,C,D\n1e140,1e200,inf,x\n-1e140,1e200,1e200,y\n,1e200,2,x\n"))
    assert table.frame.columns.tolist() == ["A", "D"]
    assert len(table.warnings) == 2


def test_a_folder_is_no_table(tmp_path):
    assert "folder" in error_of(tmp_path)


def test_what_is_called_parquet_but_is_not(write):
    assert "not a Parquet file" in error_of(write("A,B\n1,2\n", "t.parquet"))
    assert "Parquet" in error_of(write(b"PAR1 and nothing else", "u.parquet"))


def test_rows_of_a_parquet_file_are_counted_from_one(tmp_path):
    frame = pd.DataFrame({"id": ["a", "b", "a"], "A": ["1", "2", "3"]})
    frame.to_parquet(tmp_path / "t.parquet")
    assert "rows 1 and 3" in error_of(tmp_path / "t.parquet", id="id")
    words = pd.DataFrame({"A": [*map(str, range(30)), "many"]})
    words.to_parquet(tmp_path / "u.parquet")
    assert "row 31" in error_of(tmp_path / "u.parquet")


def test_nested_parquet_columns_are_refused_by_name(tmp_path):
    pd.DataFrame({"A": [1, 2], "B": [[1], [2]]}).to_parquet(tmp_path / "t.parquet")
    message = error_of(tmp_path / "t.parquet")
    assert "'B'" in message
    assert load(tmp_path / "t.parquet", drop=["B"]).n_customers == 2


def test_a_quote_that_is_never_closed_does_not_swallow_rows_silently(write):
    path = write("A,B\n" + "1,2\n" * 20 + '3,"4\n' + "5,6\n" * 60_000)
    assert "row 22" in error_of(path)


def test_a_pipe_is_no_table(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "regular file" in error_of(tmp_path / "pipe")


def test_a_name_too_long_for_the_system_is_a_usage_error(tmp_path):
    assert "cannot be read" in error_of(tmp_path / ("x" * 5000))


def test_a_long_bad_value_is_shortened(write):
    path = write("A\n" + "1\n2\n" * 20 + '"' + "x" * 500 + '"\n')
    assert len(error_of(path)) < 300


def test_fifty_categories_are_allowed(write):
    path = write("A,B\n" + "".join(f"name {i % 50}x,{i}\n" for i in range(200)))
    assert load(path).frame["A"].nunique() == 50
