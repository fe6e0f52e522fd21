// Reads an ONNX file and computes its graph with the operators in operators.js.
//
// ONNX files are protocol buffers. Only the fields that the exported graphs use are read; their
// numbers are those of onnx.proto.

import { OPERATORS, tensor } from "./operators.js";

const GRAPH = 7; // of a model
const [NODE, INITIALIZER, OUTPUT] = [1, 5, 12]; // of a graph
const [NODE_INPUT, NODE_OUTPUT, NODE_OPERATOR, NODE_ATTRIBUTE] = [1, 2, 4, 5];
const [ATTRIBUTE_NAME, ATTRIBUTE_FLOAT, ATTRIBUTE_INTEGER, ATTRIBUTE_STRING] = [1, 2, 3, 4];
const ATTRIBUTE_INTEGERS = 8;
const [TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_DATA] = [1, 2, 8, 9];

// The types of numbers that the exported files have, by their number in onnx.proto.
const READERS = {
  1: (buffer) => new Float32Array(buffer),
  3: (buffer) => new Int8Array(buffer),
  7: (buffer) => Int32Array.from(new BigInt64Array(buffer), Number),
  9: (buffer) => Int32Array.from(new Uint8Array(buffer)),
};

/** A graph that is ready to be computed. */
export class OnnxModel {
  /** @param {Uint8Array} bytes the content of an .onnx file */
  constructor(bytes) {
    const graph = firstBytes(readFields(bytes), GRAPH);
    if (!graph) throw new Error("the file holds no ONNX graph; expected one that textvae exported.");
    const fields = readFields(graph);
    this.outputs = allBytes(fields, OUTPUT).map((value) => readText(firstBytes(readFields(value), 1)));
    this.constants = new Map();
    for (const part of allBytes(fields, INITIALIZER)) {
      const [name, value] = readTensor(part);
      this.constants.set(name, value);
    }
    this.nodes = allBytes(fields, NODE).map(readNode);
    for (const { operator } of this.nodes) {
      if (!(operator in OPERATORS)) {
        throw new Error(`the operator ${operator} is not known here; pass onnxruntime to TextVAE.load(folder, { ort }).`);
      }
    }
    this.#foldConstants();
  }

  /** Return the named outputs, a map from names to tensors, for a map of inputs. */
  run(inputs) {
    const values = new Map([...this.constants, ...Object.entries(inputs)]);
    for (const node of this.nodes) compute(node, values);
    return Object.fromEntries(this.outputs.map((name) => [name, values.get(name)]));
  }

  /** Compute once what depends on no input, such as weights that are stored in 8 bits. */
  #foldConstants() {
    const isConstant = (name) => name === "" || this.constants.has(name);
    this.nodes = this.nodes.filter((node) => {
      if (!node.inputs.every(isConstant)) return true;
      compute(node, this.constants);
      return false;
    });
    const used = new Set([...this.nodes.flatMap((node) => node.inputs), ...this.outputs]);
    for (const name of [...this.constants.keys()]) if (!used.has(name)) this.constants.delete(name);
  }
}

/** Compute one node and store its outputs. */
function compute(node, values) {
  const inputs = node.inputs.map((name) => (name === "" ? undefined : values.get(name)));
  const results = OPERATORS[node.operator](inputs, node.attributes, node.outputs.length);
  node.outputs.forEach((name, index) => values.set(name, results[index]));
}

function readNode(bytes) {
  const fields = readFields(bytes);
  const attributes = {};
  for (const part of allBytes(fields, NODE_ATTRIBUTE)) {
    const attribute = readFields(part);
    attributes[readText(firstBytes(attribute, ATTRIBUTE_NAME))] = readAttribute(attribute);
  }
  return {
    operator: readText(firstBytes(fields, NODE_OPERATOR)),
    inputs: allBytes(fields, NODE_INPUT).map(readText),
    outputs: allBytes(fields, NODE_OUTPUT).map(readText),
    attributes,
  };
}

function readAttribute(fields) {
  const integers = readIntegers(fields, ATTRIBUTE_INTEGERS);
  if (integers.length) return integers;
  const text = firstBytes(fields, ATTRIBUTE_STRING);
  if (text) return readText(text);
  const [integer] = readIntegers(fields, ATTRIBUTE_INTEGER);
  if (integer !== undefined) return integer;
  const number = fields.find((field) => field.number === ATTRIBUTE_FLOAT);
  return number ? number.value : undefined;
}

function readTensor(bytes) {
  const fields = readFields(bytes);
  const [type] = readIntegers(fields, TENSOR_TYPE);
  const name = readText(firstBytes(fields, TENSOR_NAME));
  if (!(type in READERS)) throw new Error(`${name} has numbers of a type that is not known: ${type}.`);
  const raw = firstBytes(fields, TENSOR_DATA) ?? new Uint8Array(0);
  // A copy, because a view of numbers must begin at a multiple of their size.
  const data = READERS[type](raw.slice().buffer);
  return [name, tensor(readIntegers(fields, TENSOR_DIMS), data)];
}

// Protocol buffers: a message is a list of fields, each with a number and a kind of encoding.

/** Return the fields of a message, each with its number and its value, a number or bytes. */
function readFields(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields = [];
  let position = 0;
  while (position < bytes.length) {
    let tag, value;
    [tag, position] = readVarint(bytes, position);
    const kind = tag & 7;
    if (kind === 0) {
      [value, position] = readVarint(bytes, position);
    } else if (kind === 2) {
      let length;
      [length, position] = readVarint(bytes, position);
      value = bytes.subarray(position, position + length);
      position += length;
    } else if (kind === 5) {
      value = view.getFloat32(position, true);
      position += 4;
    } else if (kind === 1) {
      value = view.getFloat64(position, true);
      position += 8;
    } else {
      throw new Error("the file is not an ONNX file, or is damaged.");
    }
    fields.push({ number: tag >>> 3, value });
  }
  return fields;
}

/** Return a signed integer in groups of seven bits, least significant first, and where it ends. */
function readVarint(bytes, position) {
  let value = 0n;
  for (let shift = 0n; position < bytes.length; shift += 7n) {
    const byte = bytes[position++];
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) return [Number(BigInt.asIntN(64, value)), position];
  }
  throw new Error("the file ends too early; copy it again.");
}

/** Return all integers of a field, which may be listed one by one or packed together. */
function readIntegers(fields, number) {
  const integers = [];
  for (const field of fields) {
    if (field.number !== number) continue;
    if (typeof field.value === "number") {
      integers.push(field.value);
      continue;
    }
    for (let position = 0, value; position < field.value.length; ) {
      [value, position] = readVarint(field.value, position);
      integers.push(value);
    }
  }
  return integers;
}

function allBytes(fields, number) {
  return fields.filter((field) => field.number === number).map((field) => field.value);
}

function firstBytes(fields, number) {
  return fields.find((field) => field.number === number)?.value;
}

function readText(bytes) {
  return bytes ? new TextDecoder().decode(bytes) : "";
}
