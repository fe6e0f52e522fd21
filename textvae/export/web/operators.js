// The operators of ONNX that graphs of recurrent models consist of.
//
// Each takes its inputs (tensors, or undefined where one is left out), its attributes and the number
// of its outputs, and returns a list of tensors. A tensor has `dims` and `data`, a typed array in
// row-major order: Float32Array for numbers, Int32Array for integers and truth values. Nothing is
// changed in place, so results may share the data of inputs.

/** Return a tensor. */
export function tensor(dims, data) {
  return { dims, data };
}

const sizeOf = (dims) => dims.reduce((size, dim) => size * dim, 1);
const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** Return how far apart neighbors along each axis are in the data. */
function stridesOf(dims) {
  const strides = new Array(dims.length);
  for (let axis = dims.length - 1, step = 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= dims[axis];
  }
  return strides;
}

/** Return the shape that several shapes have after broadcasting. */
function broadcastDims(shapes) {
  const rank = Math.max(...shapes.map((dims) => dims.length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = shapes.map((dims) => dims[axis - rank + dims.length] ?? 1);
    return sizes.find((size) => size !== 1) ?? 1;
  });
}

/** Return, for each element of a tensor of shape `dims`, the position of its source in `source`. */
function broadcastPositions(source, dims) {
  const offset = dims.length - source.dims.length;
  const strides = stridesOf(source.dims);
  const steps = dims.map((_, axis) => {
    const own = axis - offset;
    return own < 0 || source.dims[own] === 1 ? 0 : strides[own];
  });
  return positionsOf(dims, steps);
}

/** Return the positions that a walk through `dims` visits, one step per axis. */
function positionsOf(dims, steps, start = 0) {
  const positions = new Int32Array(sizeOf(dims));
  const index = new Array(dims.length).fill(0);
  let position = start;
  for (let element = 0; element < positions.length; element++) {
    positions[element] = position;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      position += steps[axis];
      if (++index[axis] < dims[axis]) break;
      position -= steps[axis] * dims[axis];
      index[axis] = 0;
    }
  }
  return positions;
}

/** Return the operator that applies a function to the numbers of one tensor. */
function mapped(calculate) {
  return ([source]) => [tensor(source.dims, Float32Array.from(source.data, calculate))];
}

/** Return the operator that applies a function to the numbers of two tensors, after broadcasting. */
function combined(calculate, Type) {
  return ([left, right]) => {
    const dims = broadcastDims([left.dims, right.dims]);
    const data = new (Type ?? left.data.constructor)(sizeOf(dims));
    const a = broadcastPositions(left, dims);
    const b = broadcastPositions(right, dims);
    for (let i = 0; i < data.length; i++) data[i] = calculate(left.data[a[i]], right.data[b[i]]);
    return [tensor(dims, data)];
  };
}

/** Return the operator that reduces one axis, which the second input names. */
function reduced(start, calculate) {
  return ([source, axes], { keepdims = 1 }) => {
    const [axis] = axes.data;
    const outer = sizeOf(source.dims.slice(0, axis));
    const inner = sizeOf(source.dims.slice(axis + 1));
    const length = source.dims[axis];
    const data = new source.data.constructor(outer * inner).fill(start);
    for (let i = 0; i < outer; i++) {
      for (let k = 0; k < length; k++) {
        const from = (i * length + k) * inner;
        for (let j = 0; j < inner; j++) {
          data[i * inner + j] = calculate(data[i * inner + j], source.data[from + j]);
        }
      }
    }
    const dims = source.dims.toSpliced(axis, 1, ...(keepdims ? [1] : []));
    return [tensor(dims, data)];
  };
}

function where([condition, yes, no]) {
  const dims = broadcastDims([condition.dims, yes.dims, no.dims]);
  const data = new yes.data.constructor(sizeOf(dims));
  const [c, a, b] = [condition, yes, no].map((source) => broadcastPositions(source, dims));
  for (let i = 0; i < data.length; i++) {
    data[i] = condition.data[c[i]] ? yes.data[a[i]] : no.data[b[i]];
  }
  return [tensor(dims, data)];
}

function gather([source, indices]) {
  const width = sizeOf(source.dims.slice(1));
  const data = new source.data.constructor(indices.data.length * width);
  indices.data.forEach((row, i) => data.set(source.data.subarray(row * width, (row + 1) * width), i * width));
  return [tensor([...indices.dims, ...source.dims.slice(1)], data)];
}

function transpose([source], { perm }) {
  const dims = perm.map((axis) => source.dims[axis]);
  const strides = stridesOf(source.dims);
  const positions = positionsOf(dims, perm.map((axis) => strides[axis]));
  return [tensor(dims, source.data.constructor.from(positions, (position) => source.data[position]))];
}

function reshape([source, shape]) {
  const dims = Array.from(shape.data, (size, axis) => (size === 0 ? source.dims[axis] : size));
  const free = dims.indexOf(-1);
  if (free >= 0) dims[free] = sizeOf(source.dims) / -sizeOf(dims);
  return [tensor(dims, source.data)];
}

function unsqueeze([source, axes]) {
  return [tensor(source.dims.toSpliced(axes.data[0], 0, 1), source.data)];
}

function squeeze([source, axes]) {
  return [tensor(source.dims.toSpliced(axes.data[0], 1), source.data)];
}

function expand([source, shape]) {
  const dims = broadcastDims([source.dims, Array.from(shape.data)]);
  const positions = broadcastPositions(source, dims);
  return [tensor(dims, source.data.constructor.from(positions, (position) => source.data[position]))];
}

function concat(inputs, { axis }) {
  const dims = inputs[0].dims.slice();
  dims[axis] = inputs.reduce((size, input) => size + input.dims[axis], 0);
  const data = new inputs[0].data.constructor(sizeOf(dims));
  const outer = sizeOf(dims.slice(0, axis));
  let position = 0;
  for (let i = 0; i < outer; i++) {
    for (const input of inputs) {
      const width = sizeOf(input.dims.slice(axis));
      data.set(input.data.subarray(i * width, (i + 1) * width), position);
      position += width;
    }
  }
  return [tensor(dims, data)];
}

/** Return the part of a tensor between two positions along an axis. */
function cut(source, axis, begin, end) {
  const dims = source.dims.slice();
  dims[axis] = end - begin;
  const strides = stridesOf(source.dims);
  const positions = positionsOf(dims, strides, begin * strides[axis]);
  return tensor(dims, source.data.constructor.from(positions, (position) => source.data[position]));
}

function slice([source, starts, ends, axes]) {
  return [cut(source, axes.data[0], starts.data[0], ends.data[0])];
}

function split([source, sizes], { axis }) {
  let begin = 0;
  return Array.from(sizes.data, (size) => cut(source, axis, begin, (begin += size)));
}

function shape([source], { start = 0, end = source.dims.length }) {
  const dims = source.dims.slice(start, end);
  return [tensor([dims.length], Int32Array.from(dims))];
}

function cast([source], { to }) {
  if (to === 1) return [tensor(source.dims, Float32Array.from(source.data))];
  const convert = to === 9 ? (value) => (value ? 1 : 0) : Math.trunc;
  return [tensor(source.dims, Int32Array.from(source.data, convert))];
}

function dequantize([source, scales], { axis }) {
  const width = sizeOf(source.dims.slice(axis + 1));
  const data = new Float32Array(source.data.length);
  for (let i = 0; i < data.length; i++) data[i] = source.data[i] * scales.data[Math.floor(i / width)];
  return [tensor(source.dims, data)];
}

/**
 * Add to `out`, (rows, units), the products of `inputs`, (rows, size), and `weight`, (units, size).
 *
 * A unit's weights stay in the fastest cache while all rows use them.
 */
function addProducts(out, inputs, rows, weight, units, size, outWidth = units) {
  for (let unit = 0; unit < units; unit++) {
    const w = unit * size;
    for (let row = 0; row < rows; row++) {
      const x = row * size;
      // Four sums, which do not wait for one another.
      let a = 0;
      let b = 0;
      let c = 0;
      let d = 0;
      let k = 0;
      for (; k + 3 < size; k += 4) {
        a += weight[w + k] * inputs[x + k];
        b += weight[w + k + 1] * inputs[x + k + 1];
        c += weight[w + k + 2] * inputs[x + k + 2];
        d += weight[w + k + 3] * inputs[x + k + 3];
      }
      for (; k < size; k++) a += weight[w + k] * inputs[x + k];
      out[row * outWidth + unit] += a + b + c + d;
    }
  }
}

/** The product of rows and a transposed matrix, plus a bias. */
function gemm([inputs, weight, bias], { transB }) {
  if (!transB) throw new Error("a matrix is not transposed, which no exported graph has.");
  const [rows, size] = inputs.dims;
  const [units] = weight.dims;
  const out = new Float32Array(rows * units);
  if (bias) for (let row = 0; row < rows; row++) out.set(bias.data, row * units);
  addProducts(out, inputs.data, rows, weight.data, units, size);
  return [tensor([rows, units], out)];
}

/**
 * Run cells over a sequence; `step` computes a new state from the gates.
 *
 * Shapes: inputs (length, batch, size); weights (directions, gates * hidden, size); biases
 * (directions, 2 * gates * hidden). Sentences that are shorter than the longest one end earlier,
 * and the backward direction starts at their last token.
 */
function recur(inputs, attributes, gates, step) {
  const [source, weight, recurrent, bias, lengths, firstH, firstC] = inputs;
  const [length, batch, size] = source.dims;
  const hidden = attributes.hidden_size;
  const [directions] = weight.dims;
  const width = gates * hidden;
  const every = new Float32Array(length * directions * batch * hidden);
  const lastH = firstH ? firstH.data.slice() : new Float32Array(directions * batch * hidden);
  const lastC = firstC ? firstC.data.slice() : new Float32Array(directions * batch * hidden);
  for (let direction = 0; direction < directions; direction++) {
    const own = weight.data.subarray(direction * width * size, (direction + 1) * width * size);
    const back = recurrent.data.subarray(direction * width * hidden, (direction + 1) * width * hidden);
    const offset = direction * 2 * width;
    // The part of the gates that depends on the inputs, for all positions at once.
    const fromInputs = new Float32Array(length * batch * width);
    for (let row = 0; row < length * batch; row++) {
      fromInputs.set(bias.data.subarray(offset, offset + width), row * width);
    }
    addProducts(fromInputs, source.data, length * batch, own, width, size);
    const h = lastH.subarray(direction * batch * hidden, (direction + 1) * batch * hidden);
    const c = lastC.subarray(direction * batch * hidden, (direction + 1) * batch * hidden);
    const fromState = new Float32Array(batch * width);
    for (let turn = 0; turn < length; turn++) {
      for (let row = 0; row < batch; row++) {
        fromState.set(bias.data.subarray(offset + width, offset + 2 * width), row * width);
      }
      addProducts(fromState, h, batch, back, width, hidden);
      for (let row = 0; row < batch; row++) {
        const steps = lengths ? lengths.data[row] : length;
        if (turn >= steps) continue;
        const time = direction === 0 ? turn : steps - 1 - turn;
        step(fromInputs, (time * batch + row) * width, fromState, row * width, h, c, row * hidden, hidden);
        const place = ((time * directions + direction) * batch + row) * hidden;
        every.set(h.subarray(row * hidden, (row + 1) * hidden), place);
      }
    }
  }
  const dims = [directions, batch, hidden];
  return [tensor([length, ...dims], every), tensor(dims, lastH), tensor(dims, lastC)];
}

/** The gates of an LSTM are input, output, forget, cell. */
function stepLstm(x, i, r, j, h, c, at, hidden) {
  for (let unit = 0; unit < hidden; unit++) {
    const gate = (number) => x[i + number * hidden + unit] + r[j + number * hidden + unit];
    const cell = sigmoid(gate(2)) * c[at + unit] + sigmoid(gate(0)) * Math.tanh(gate(3));
    c[at + unit] = cell;
    h[at + unit] = sigmoid(gate(1)) * Math.tanh(cell);
  }
}

/** The gates of a GRU are update, reset, new; the reset acts on the product with the state. */
function stepGru(x, i, r, j, h, _, at, hidden) {
  for (let unit = 0; unit < hidden; unit++) {
    const update = sigmoid(x[i + unit] + r[j + unit]);
    const reset = sigmoid(x[i + hidden + unit] + r[j + hidden + unit]);
    const fresh = Math.tanh(x[i + 2 * hidden + unit] + reset * r[j + 2 * hidden + unit]);
    h[at + unit] = (1 - update) * fresh + update * h[at + unit];
  }
}

export const OPERATORS = {
  Add: combined((a, b) => a + b),
  Cast: cast,
  Concat: concat,
  DequantizeLinear: dequantize,
  Div: combined((a, b) => a / b),
  Equal: combined((a, b) => (a === b ? 1 : 0), Int32Array),
  Exp: mapped(Math.exp),
  Expand: expand,
  GRU: (inputs, attributes) => recur(inputs, attributes, 3, stepGru),
  Gather: gather,
  Gemm: gemm,
  Identity: (inputs) => inputs,
  LSTM: (inputs, attributes) => recur(inputs, attributes, 4, stepLstm),
  Log: mapped(Math.log),
  Max: combined(Math.max),
  Mul: combined((a, b) => a * b),
  ReduceMax: reduced(-Infinity, Math.max),
  ReduceSum: reduced(0, (a, b) => a + b),
  Relu: mapped((x) => Math.max(x, 0)),
  Reshape: reshape,
  Shape: shape,
  Sigmoid: mapped(sigmoid),
  Slice: slice,
  Split: split,
  Sqrt: mapped(Math.sqrt),
  Squeeze: squeeze,
  Sub: combined((a, b) => a - b),
  Tanh: mapped(Math.tanh),
  Transpose: transpose,
  Unsqueeze: unsqueeze,
  Where: where,
};
