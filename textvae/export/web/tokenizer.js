// Reads a tokenizer.json of the kinds that textvae trains, and gives the same ids and the same texts
// as the `tokenizers` library: byte-pair encodings on bytes, words, characters, and bytes.

const SPACE = "\\p{White_Space}";
// What the library's regular expressions take for \w. Outside brackets they also take the fractions
// and exponents of Latin-1 for it.
const WORD = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
const FRACTIONS = "\\xb2\\xb3\\xb9\\xbc-\\xbe";

// How GPT-2 cuts a text into words, each with the space before it.
const WORDS_WITH_SPACES = new RegExp(
  String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^${SPACE}\p{L}\p{N}]+` +
    String.raw`|${SPACE}+(?!\P{White_Space})|${SPACE}+`,
  "gu",
);

const [BYTE_TO_CHARACTER, CHARACTER_TO_BYTE] = makeByteTables();

/** Turns texts into ids, and ids into texts. */
export class Tokenizer {
  /** @param {object} file the content of tokenizer.json */
  constructor(file) {
    this.vocabulary = new Map(Object.entries(file.model.vocab));
    this.tokens = [];
    for (const [token, id] of this.vocabulary) this.tokens[id] = token;
    for (const { id, content, special } of file.added_tokens ?? []) {
      if (!special) throw new Error(`tokenizer.json: the added token ${content} is not supported.`);
      this.tokens[id] = content;
    }
    this.normalize = makeNormalizer(file.normalizer);
    this.splitText = makeSplitter(file.pre_tokenizer);
    this.joinTokens = makeJoiner(file.decoder);
    this.encodePiece = makeModel(file.model, this.vocabulary);
  }

  /** Return the ids of a text, without start and end. */
  encode(text) {
    return this.splitText(this.normalize(text.toWellFormed())).flatMap(this.encodePiece);
  }

  /** Return the text of ids. */
  decode(ids) {
    return this.joinTokens(ids.map((id) => this.tokens[id]).filter((token) => token !== undefined));
  }
}

/** Return the function that normalizes Unicode and case. */
function makeNormalizer(part) {
  if (!part) return (text) => text;
  if (part.type === "Sequence") {
    const steps = part.normalizers.map(makeNormalizer);
    return (text) => steps.reduce((normalized, step) => step(normalized), text);
  }
  if (/^NFK?[CD]$/.test(part.type)) return (text) => text.normalize(part.type);
  // Each character alone: within a word, JavaScript would give the last sigma another form.
  if (part.type === "Lowercase") {
    return (text) => Array.from(text, (character) => character.toLowerCase()).join("");
  }
  return refuse("normalizer", part);
}

/** Return the function that cuts a text into pieces. */
function makeSplitter(part) {
  if (!part) return (text) => (text ? [text] : []);
  if (part.type === "WhitespaceSplit") return (text) => text.match(/\P{White_Space}+/gu) ?? [];
  if (part.type === "ByteLevel" && part.use_regex !== false) {
    return (text) => {
      if (!text) return [];
      const whole = part.add_prefix_space && !text.startsWith(" ") ? ` ${text}` : text;
      return (whole.match(WORDS_WITH_SPACES) ?? []).map(spellBytes);
    };
  }
  if (part.type === "Split" && part.pattern.Regex) {
    const pattern = new RegExp(translatePattern(part.pattern.Regex), "gu");
    const keepsMatches = part.behavior === "Removed" && part.invert;
    const keepsAll = part.behavior === "Isolated" && part.pattern.Regex === "[\\s\\S]";
    if (keepsMatches || keepsAll) return (text) => text.match(pattern) ?? [];
  }
  return refuse("pre_tokenizer", part);
}

/** Return a pattern of the `tokenizers` library as JavaScript writes it. */
function translatePattern(pattern) {
  let isInClass = false;
  return pattern.replace(/\\.|\[|\]/gu, (part) => {
    if (part === "[" || part === "]") isInClass = part === "[";
    if (part === "\\s") return SPACE;
    if (part === "\\S") return "\\P{White_Space}";
    if (part === "\\w") return isInClass ? WORD : `[${WORD}${FRACTIONS}]`;
    return part;
  });
}

/** Return the function from a piece of text to its ids. */
function makeModel(model, vocabulary) {
  const unknown = vocabulary.get(model.unk_token);
  if (model.type === "WordLevel") return (piece) => [vocabulary.get(piece) ?? unknown];
  if (model.type !== "BPE" || model.byte_fallback || model.continuing_subword_prefix) {
    return refuse("model", model);
  }
  const ranks = new Map();
  model.merges.forEach((merge, rank) => {
    const pair = Array.isArray(merge) ? merge : merge.split(" ");
    ranks.set(pair.join(" "), rank);
  });
  const known = new Map(); // the ids of pieces that were encoded before
  return (piece) => {
    if (!known.has(piece)) {
      const parts = mergePairs([...piece], ranks);
      known.set(piece, parts.map((part) => vocabulary.get(part) ?? unknown).filter((id) => id !== undefined));
    }
    return known.get(piece);
  };
}

/** Merge neighbors, the earliest learned pair first, until no pair is left. */
function mergePairs(parts, ranks) {
  for (;;) {
    let [best, place] = [Infinity, -1];
    for (let i = 0; i + 1 < parts.length; i++) {
      const rank = ranks.get(`${parts[i]} ${parts[i + 1]}`) ?? Infinity;
      if (rank < best) [best, place] = [rank, i];
    }
    if (place < 0) return parts;
    parts.splice(place, 2, parts[place] + parts[place + 1]);
  }
}

/** Return the function from tokens to their text. */
function makeJoiner(part) {
  if (!part) return (tokens) => tokens.join(" ");
  const steps = (part.type === "Sequence" ? part.decoders : [part]).map(makeJoinStep);
  return (tokens) => steps.reduce((pieces, step) => step(pieces), tokens).join("");
}

function makeJoinStep(part) {
  if (part.type === "ByteLevel") return (tokens) => [readBytes(tokens)];
  if (part.type === "Fuse") return (tokens) => [tokens.join("")];
  if (part.type === "Strip" && part.stop === 0) {
    return (tokens) => tokens.map((token) => stripStart(token, part.content, part.start));
  }
  if (part.type === "WordPiece") {
    return (tokens) => tokens.map((token, index) => joinWord(token, index, part));
  }
  return refuse("decoder", part);
}

function stripStart(token, character, most) {
  let start = 0;
  while (start < most && token[start] === character) start++;
  return token.slice(start);
}

// What the `tokenizers` library joins in English texts.
const SHORT_FORMS = [
  [" .", "."], [" ?", "?"], [" !", "!"], [" ,", ","], [" ' ", "'"], [" n't", "n't"], [" 'm", "'m"],
  [" do not", " don't"], [" 's", "'s"], [" 've", "'ve"], [" 're", "'re"],
];

function joinWord(token, index, { prefix, cleanup }) {
  let word = token;
  if (index > 0) word = token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
  if (cleanup) for (const [spaced, joined] of SHORT_FORMS) word = word.replaceAll(spaced, joined);
  return word;
}

/** Return a text with a visible character for each of its bytes in UTF-8. */
function spellBytes(text) {
  return Array.from(new TextEncoder().encode(text), (byte) => BYTE_TO_CHARACTER[byte]).join("");
}

/** Return the text whose bytes these tokens spell. */
function readBytes(tokens) {
  const bytes = [];
  for (const token of tokens) {
    const own = [...token].map((character) => CHARACTER_TO_BYTE.get(character));
    bytes.push(...(own.includes(undefined) ? new TextEncoder().encode(token) : own));
  }
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
}

/** Printable bytes stand for themselves; the others for the characters from 256 on. */
function makeByteTables() {
  const isPrintable = (byte) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  let next = 256;
  const characters = Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(isPrintable(byte) ? byte : next++),
  );
  return [characters, new Map(characters.map((character, byte) => [character, byte]))];
}

function refuse(name, part) {
  throw new Error(`tokenizer.json: the ${name} ${part.type} is not supported by this runner.`);
}
