# Screens of a terminal, with the colours that panup uses, as one SVG: light or dark as its reader's.

BEGIN {
    size = 13; line = 18; cell = 7.83; left = 18; bar = 30
    width = columns * cell + 2 * left; rows = 0
}

FNR == 1 { screens++ }

{ text[rows] = $0; screen[rows++] = screens }

END {
    y = bar
    for (row = 0; row < rows; row++) {
        if (screen[row] != last) { if (last) { gaps[++breaks] = y + 14; y += 24 }; last = screen[row] }
        y += line
        body = body "<text x=\"" left "\" y=\"" y "\">" spans(text[row]) "</text>\n"
    }
    height = y + 18
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\">\n", width, height, width, height
    print "<title>panup upload in a terminal: in the middle of a run, and at its end</title>"
    print "<style>"
    print "text { font: " size "px ui-monospace, SFMono-Regular, Menlo, Consolas, \"DejaVu Sans Mono\", \"Noto Sans Mono CJK SC\", \"WenQuanYi Micro Hei Mono\", monospace; fill: #24292f; white-space: pre }"
    print ".paper { fill: #f6f8fa; stroke: #d0d7de } .gap { stroke: #d0d7de; stroke-dasharray: 3 4 }"
    print ".green { fill: #1a7f37 } .dim { fill: #8c959f } .dot { fill: #d0d7de }"
    print "@media (prefers-color-scheme: dark) {"
    print "  text { fill: #e6edf3 } .paper { fill: #0d1117; stroke: #30363d } .gap { stroke: #30363d }"
    print "  .green { fill: #3fb950 } .dim { fill: #7d8590 } .dot { fill: #30363d }"
    print "}"
    print "</style>"
    printf "<rect class=\"paper\" x=\"0.5\" y=\"0.5\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n", width - 1, height - 1
    for (dot = 0; dot < 3; dot++) printf "<circle class=\"dot\" cx=\"%d\" cy=\"17\" r=\"5\"/>\n", 20 + dot * 17
    for (gap = 1; gap <= breaks; gap++) printf "<line class=\"gap\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>\n", left, width - left, gaps[gap], gaps[gap]
    printf "%s</svg>\n", body
}

# A line with its colours as spans.
function spans(rest,    out, codes, count, at, green, dim) {
    while (match(rest, /\033\[[0-9;]*m/)) {
        out = out span(substr(rest, 1, RSTART - 1), dim ? "dim" : green ? "green" : "")
        count = split(substr(rest, RSTART + 2, RLENGTH - 3), codes, ";")
        rest = substr(rest, RSTART + RLENGTH)
        if (count == 0) green = dim = 0
        for (at = 1; at <= count; at++) {
            if (codes[at] == 0) green = dim = 0
            if (codes[at] == 2) dim = 1
            if (codes[at] == 32) green = 1
            if (codes[at] == 39) green = 0
        }
    }
    return out span(rest, dim ? "dim" : green ? "green" : "")
}

function span(part, class) {
    gsub(/&/, "\\&amp;", part); gsub(/</, "\\&lt;", part); gsub(/>/, "\\&gt;", part)
    if (part == "") return ""
    return class ? "<tspan class=\"" class "\">" part "</tspan>" : part
}
