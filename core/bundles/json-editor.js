// Turns every <textarea data-json-editor> into a JSON editor, and colours every <pre data-json>.
//
// Without this script the textarea and the pre stay what they are, and work. Attributes of the textarea:
//   data-error-lines="3,7"   lines that the server refused, marked in the gutter
//   data-read-only           not editable
//
// Events that other scripts send to the textarea:
//   json-line                go to the line with this number (detail)
//   json-colour              colour the JSON in this part of the page (detail)

import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { json, jsonLanguage, jsonParseLinter } from "@codemirror/lang-json";
import { bracketMatching, foldGutter, foldKeymap, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, lintKeymap, linter } from "@codemirror/lint";
import { EditorState, RangeSetBuilder } from "@codemirror/state";
import {
  Decoration,
  EditorView,
  drawSelection,
  highlightActiveLine,
  highlightActiveLineGutter,
  highlightSpecialChars,
  keymap,
  lineNumbers,
} from "@codemirror/view";
import { classHighlighter, highlightCode } from "@lezer/highlight";

const parseError = jsonParseLinter();

// An empty text is not an error: the field may be left empty.
const mistakes = linter((view) => (view.state.doc.toString().trim() ? parseError(view) : []), { delay: 300 });

function refusedLines(textarea) {
  const numbers = (textarea.dataset.errorLines || "").split(",").map(Number).filter(Boolean);
  return EditorView.decorations.of((view) => {
    const marks = new RangeSetBuilder();
    for (const number of [...new Set(numbers)].sort((a, b) => a - b)) {
      if (number <= view.state.doc.lines) {
        const start = view.state.doc.line(number).from;
        marks.add(start, start, Decoration.line({ class: "cm-refused-line" }));
      }
    }
    return marks.finish();
  });
}

function labelOf(textarea) {
  const text = textarea.labels[0] ? textarea.labels[0].textContent.trim() : "";
  return textarea.getAttribute("aria-label") || text || "JSON";
}

// The page's policy allows styles only with this nonce, which browsers reveal to scripts alone.
function styleNonce() {
  return document.querySelector("meta[name=style-nonce]")?.nonce ?? "";
}

function extensions(textarea) {
  const readOnly = "readOnly" in textarea.dataset;
  return [
    lineNumbers(),
    foldGutter(),
    highlightSpecialChars(),
    drawSelection(),
    json(),
    syntaxHighlighting(classHighlighter),
    bracketMatching(),
    indentOnInput(),
    indentUnit.of("  "),
    EditorView.lineWrapping,
    EditorView.cspNonce.of(styleNonce()),
    EditorView.contentAttributes.of({ "aria-label": labelOf(textarea) }),
    refusedLines(textarea),
    keymap.of([...defaultKeymap, ...historyKeymap, ...foldKeymap, ...lintKeymap]),
    readOnly
      ? [EditorState.readOnly.of(true)]
      : [history(), mistakes, lintGutter(), highlightActiveLine(), highlightActiveLineGutter(), copyTo(textarea)],
  ];
}

// The textarea is what the form sends, so it follows every change.
function copyTo(textarea) {
  return EditorView.updateListener.of((update) => {
    if (update.docChanged) {
      textarea.value = update.state.doc.toString();
      textarea.dispatchEvent(new Event("input", { bubbles: true }));
    }
  });
}

// Indents the text again without changing any token: parsing and printing would change large numbers.
function indented(text) {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) || [];
  let depth = 0;
  let made = "";
  const newLine = () => "\n" + "  ".repeat(depth);
  tokens.forEach((token, place) => {
    const isEmpty = "{[".includes(tokens[place - 1]);
    if (token === "{" || token === "[") {
      depth += 1;
      made += "}]".includes(tokens[place + 1]) ? token : token + newLine();
    } else if (token === "}" || token === "]") {
      depth -= 1;
      made += isEmpty ? token : newLine() + token;
    } else if (token === ",") {
      made += token + newLine();
    } else {
      made += token === ":" ? ": " : token;
    }
  });
  return made;
}

function tidy(view) {
  const text = view.state.doc.toString();
  try {
    JSON.parse(text);
  } catch {
    return; // The gutter says what is wrong.
  }
  view.dispatch({ changes: { from: 0, to: text.length, insert: indented(text) } });
  view.focus();
}

function tidyButton(view) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "s-editor-tidy";
  button.textContent = "Tidy";
  button.title = "Indent the JSON evenly";
  button.addEventListener("click", () => tidy(view));
  return button;
}

function edit(textarea) {
  const frame = document.createElement("div");
  frame.className = "s-editor";
  textarea.before(frame);
  const view = new EditorView({ doc: textarea.value, extensions: extensions(textarea), parent: frame });
  if (!("readOnly" in textarea.dataset)) {
    frame.append(tidyButton(view));
  }
  textarea.hidden = true;
  // A hidden required field would stop the form without a word: the server checks it.
  textarea.required = false;
  for (const label of textarea.labels) {
    label.addEventListener("click", () => view.focus());
  }
  textarea.addEventListener("json-line", (event) => {
    goTo(view, event.detail);
    view.focus();
  });
  textarea.addEventListener("json-colour", (event) => colourIn(event.detail));
  goTo(view, Number((textarea.dataset.errorLines || "").split(",")[0]));
}

function goTo(view, number) {
  if (number && number <= view.state.doc.lines) {
    const { from } = view.state.doc.line(number);
    view.dispatch({ selection: { anchor: from }, effects: EditorView.scrollIntoView(from, { y: "center" }) });
  }
}

// Every piece becomes a text node, so that no content of an event is read as HTML.
function colour(pre) {
  if (pre.dataset.json === "coloured" || pre.textContent.length > 200_000) {
    return;
  }
  pre.dataset.json = "coloured";
  const code = pre.textContent;
  const pieces = document.createDocumentFragment();
  const put = (text, classes) => {
    const piece = classes ? document.createElement("span") : document.createTextNode(text);
    if (classes) {
      piece.className = classes;
      piece.textContent = text;
    }
    pieces.append(piece);
  };
  highlightCode(code, jsonLanguage.parser.parse(code), classHighlighter, put, () => put("\n"));
  pre.replaceChildren(pieces);
}

function start() {
  document.querySelectorAll("textarea[data-json-editor]").forEach(edit);
  colourIn(document);
}

// Closed details are coloured only when they are opened, because a page may hold many.
function colourIn(part) {
  for (const pre of part.querySelectorAll("pre[data-json]")) {
    const details = pre.closest("details");
    if (!details || details.open) {
      colour(pre);
    } else {
      details.addEventListener("toggle", () => colour(pre), { once: true });
    }
  }
}

document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", start) : start();
