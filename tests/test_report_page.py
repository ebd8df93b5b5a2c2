"""The HTML page of the reports: it needs no other file, and shows text as it is."""

import base64
import io
import re

import pandas as pd
import soundfile
import torch
from matplotlib.figure import Figure

from dprnn_lab import report_page as html


def test_text_is_escaped_wherever_it_stands():
    odd = "<b>'x' & \"y\"</b>"
    parts = [
        html.heading(odd), html.paragraph(odd), html.link(odd, odd), html.rows([odd], [["a"]]),
        html.picture(b"PNG", odd), html.players({odd: torch.zeros(8)}, 8000), html.table(pd.DataFrame({"x": [odd]})),
    ]  # fmt: skip
    text = html.page(odd, parts)
    assert "<b>" not in text
    assert len(re.findall("&lt;b&gt;", text)) == 10
    assert all("'x'" not in tag for tag in re.findall(r"<[^>]*>", text))


def test_pictures_and_sounds_are_in_the_page():
    figure = Figure()
    figure.subplots().plot([0, 1])
    text = html.page(
        "One", [html.picture(figure, "a line"), html.players({"tone": torch.ones(80) / 2}, 16000)]
    )
    assert re.search(r"<img alt='a line'[^>]* src='data:image/png;base64,iVBOR", text)
    assert not re.search(r"(?:src|href)=['\"](?!data:)", text)
    flac = re.search(r"data:audio/flac;base64,([^']+)'", text).group(1)
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(flac)))
    assert rate == 16000
    assert samples.tolist() == [0.5] * 80


def test_a_sound_over_full_scale_is_scaled_and_others_keep_their_level():
    text = html.players({"loud": torch.tensor([2.0, -1.0]), "quiet": torch.tensor([0.125, 0.0])}, 8000)
    flacs = re.findall(r"data:audio/flac;base64,([^']+)'", text)
    loud, quiet = (soundfile.read(io.BytesIO(base64.b64decode(flac)))[0].tolist() for flac in flacs)
    assert loud == [1 - 2**-15, -0.5]
    assert quiet == [0.125, 0.0]


def test_tables_round_to_two_decimals_and_show_nan_as_a_dash():
    table = pd.DataFrame({"kind": ["a"], "mean": [1.234], "low": [float("nan")], "mixtures": [3]})
    expected = "| kind | mean | low | mixtures |\n|---|---:|---:|---:|\n| a | 1.23 | – | 3 |"
    assert html.markdown_table(table) == expected
    assert "<td>1.23</td>\n      <td>–</td>\n      <td>3</td>" in html.table(table)
    assert "| 0.00 |" in html.markdown_table(pd.DataFrame({"x": [-0.0004]}))


def test_rows_hold_cells_of_html():
    text = html.rows(["state", "remedy"], [["<b>bad</b>", "<code>x</code>"], ["ok", ""]])
    assert text.count("<tr>") == 3
    assert "<b>bad</b>" in text


def test_names_from_data_are_text_in_every_table():
    odd = "a|b `c` <script> [d](e) \x1b[31m \udce9\nnext"
    frame = pd.DataFrame({odd: [odd], "plain": ["x_1 < 2 & more"]})
    markdown, page = html.markdown_table(frame), html.table(frame)
    assert len(markdown.splitlines()) == 3
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 3 for line in markdown.splitlines())
    assert "x_1 < 2 & more" in markdown
    for text in (markdown, page):
        assert "\x1b" not in text and "<script" not in text
        text.encode()
    assert html.markdown_code("a``b") == "``` a``b ```"
