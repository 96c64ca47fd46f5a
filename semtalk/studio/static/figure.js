// Reads the glb that the studio writes (a skinned figure of 55 joints, its face where there is one, one animation) and
// draws figures with WebGL 2.

const TYPES = { 5126: Float32Array, 5123: Uint16Array, 5125: Uint32Array };
const SIZES = { SCALAR: 1, VEC3: 3, VEC4: 4, MAT4: 16 };
const SPACING = 1.3, VIEW = 0.5;  // metres between figures; half the angle of the view is VIEW / 2 radians
export const NEAREST = 0.3;  // zoom at which a face fills the picture
const PAPER = [0.957, 0.945, 0.925];
const COLOURS = [[0.60, 0.65, 0.70], [0.80, 0.63, 0.42]];

export function readGlb(data) {
  const view = new DataView(data);
  if (view.getUint32(0, true) !== 0x46546c67) throw new Error("no glb");
  const length = view.getUint32(12, true);
  const json = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 20, length)));
  const start = 20 + length + 8;
  const read = (index) => {
    const one = json.accessors[index], place = json.bufferViews[one.bufferView];
    return new TYPES[one.componentType](data, start + place.byteOffset, one.count * SIZES[one.type]);
  };
  const clip = json.animations[0], joints = json.skins[0].joints, parents = joints.map(() => -1);
  joints.forEach((joint) => (json.nodes[joint].children || []).forEach((child) => { parents[child] = joint; }));
  const figure = {
    parts: json.meshes.flatMap((mesh) => mesh.primitives.map((one) => partOf(json, one, read, data, start))),
    inverse: read(json.skins[0].inverseBindMatrices), parents,
    offsets: joints.map((joint) => json.nodes[joint].translation), rotations: [], places: null, shapes: null, frames: 0,
  };
  for (const { sampler, target } of clip.channels) {
    const values = read(clip.samplers[sampler].output);
    if (target.path === "translation") { figure.places = values; figure.frames = values.length / 3; }
    else if (target.path === "weights") figure.shapes = values;
    else figure.rotations[target.node] = values;
  }
  figure.middle = [0, 2].map((axis) => {
    let sum = 0;
    for (let t = 0; t < figure.frames; t++) sum += figure.places[3 * t + axis];
    return sum / figure.frames;
  });
  return figure;
}

// Of a mesh: wood and skin take the figure's colour, the rest has its own; shapes are (vertices that move, how far).
function partOf(json, primitive, read, data, start) {
  const { POSITION, NORMAL, JOINTS_0, WEIGHTS_0, COLOR_0 } = primitive.attributes, shown = (value) => value ** (1 / 2.2);
  const positions = read(POSITION), indices = read(primitive.indices), targets = primitive.targets || [];
  const own = targets.length && COLOR_0 === undefined;
  return {
    positions, indices, joints: read(JOINTS_0), weights: read(WEIGHTS_0),
    normals: NORMAL === undefined ? smooth(positions, indices) : read(NORMAL),
    tints: COLOR_0 === undefined ? null : read(COLOR_0).map(shown),
    colour: own ? json.materials[primitive.material].pbrMetallicRoughness.baseColorFactor.slice(0, 3).map(shown) : null,
    shapes: targets.map(({ POSITION: index }) => {
      const { count, indices: at, values } = json.accessors[index].sparse || { count: 0 };
      if (!count) return null;
      const [from, to] = [at, values].map((side) => start + json.bufferViews[side.bufferView].byteOffset);
      return { at: new TYPES[at.componentType](data, from, count), by: new Float32Array(data, to, 3 * count) };
    }),
  };
}

// Vertices of a part with the shapes of a face as strong as they are at a time in frames.
export function shaped(part, figure, time) {
  const width = part.shapes.length, at = Math.min(Math.max(time, 0), figure.frames - 1), before = Math.floor(at);
  const after = Math.min(before + 1, figure.frames - 1), share = at - before, moved = part.positions.slice();
  part.shapes.forEach((shape, k) => {
    const weight = figure.shapes[width * before + k] * (1 - share) + figure.shapes[width * after + k] * share;
    if (!shape || Math.abs(weight) < 1e-4) return;
    for (let i = 0; i < shape.at.length; i++) for (let c = 0; c < 3; c++) moved[3 * shape.at[i] + c] += weight * shape.by[3 * i + c];
  });
  return moved;
}

function smooth(p, indices) {
  const normals = new Float32Array(p.length);
  for (let i = 0; i < indices.length; i += 3) {
    const [a, b, c] = [3 * indices[i], 3 * indices[i + 1], 3 * indices[i + 2]];
    const u = [p[b] - p[a], p[b + 1] - p[a + 1], p[b + 2] - p[a + 2]];
    const v = [p[c] - p[a], p[c + 1] - p[a + 1], p[c + 2] - p[a + 2]];
    const n = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    for (const corner of [a, b, c]) for (let k = 0; k < 3; k++) normals[corner + k] += n[k];
  }
  return normals;
}

// Rows of 3 x 4 matrices of all joints at a time in frames, from the mesh at rest to the figure there.
export function posed(figure, time) {
  const at = Math.min(Math.max(time, 0), figure.frames - 1), before = Math.floor(at);
  const after = Math.min(before + 1, figure.frames - 1), share = at - before;
  const mix = (values, k, width) => values[width * before + k] * (1 - share) + values[width * after + k] * share;
  const worlds = [], rows = new Float32Array(12 * figure.parents.length);
  figure.parents.forEach((parent, joint) => {
    const q = [0, 1, 2, 3].map((k) => mix(figure.rotations[joint], k, 4)), norm = 1 / Math.hypot(...q);
    const [x, y, z, w] = q.map((value) => value * norm);
    const place = joint ? figure.offsets[joint] : [0, 1, 2].map((k) => mix(figure.places, k, 3));
    const local = [
      1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w), place[0],
      2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w), place[1],
      2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y), place[2],
    ];
    const world = parent < 0 ? local : times(worlds[parent], local);
    worlds[joint] = world;
    const back = figure.inverse.subarray(16 * joint + 12, 16 * joint + 15);  // a translation
    for (let r = 0; r < 3; r++) {
      const [a, b, c, d] = world.slice(4 * r, 4 * r + 4);
      rows.set([a, b, c, d + a * back[0] + b * back[1] + c * back[2]], 12 * joint + 4 * r);
    }
  });
  return rows;
}

function times(a, b) {
  const product = new Array(12);
  for (let r = 0; r < 3; r++) for (let c = 0; c < 4; c++) {
    product[4 * r + c] = a[4 * r] * b[c] + a[4 * r + 1] * b[4 + c] + a[4 * r + 2] * b[8 + c] + (c === 3 ? a[4 * r + 3] : 0);
  }
  return product;
}

const VERTEX = `#version 300 es
uniform vec4 joints[165]; uniform mat4 view; uniform vec3 shift; uniform float flatness;
layout(location=0) in vec3 position; layout(location=1) in vec3 normal;
layout(location=2) in uvec4 bones; layout(location=3) in vec4 weights; layout(location=4) in vec3 tint;
out vec3 facing; out vec3 place; out vec3 painted;
void main() {
  vec3 p = vec3(0), n = vec3(0);
  for (int k = 0; k < 4; k++) {
    int b = int(bones[k]) * 3; vec4 x = joints[b], y = joints[b + 1], z = joints[b + 2];
    p += weights[k] * vec3(dot(x, vec4(position, 1)), dot(y, vec4(position, 1)), dot(z, vec4(position, 1)));
    n += weights[k] * vec3(dot(x.xyz, normal), dot(y.xyz, normal), dot(z.xyz, normal));
  }
  p += shift;
  if (flatness > 0.5) p = vec3(p.x - 0.25 * p.y, 0.002, p.z - 0.35 * p.y);
  facing = n; place = p; painted = tint; gl_Position = view * vec4(p, 1);
}`;
const FRAGMENT = `#version 300 es
precision highp float;
uniform vec3 colour; uniform vec3 eye; uniform float flatness;
in vec3 facing; in vec3 place; in vec3 painted; out vec4 shown;
void main() {
  if (flatness > 0.5) { shown = vec4(0.2, 0.16, 0.12, 0.16); return; }
  vec3 n = normalize(facing), e = normalize(eye - place), l = normalize(vec3(0.45, 0.85, 0.6));
  if (dot(n, e) < 0.0) n = -n;
  float light = 0.42 + 0.22 * n.y + 0.55 * max(dot(n, l), 0.0);
  float shine = 0.16 * pow(max(dot(n, normalize(l + e)), 0.0), 24.0);
  shown = vec4(colour * painted * light + shine, 1);
}`;
const FLOOR_VERTEX = `#version 300 es
uniform mat4 view; layout(location=0) in vec2 position; out vec2 place;
void main() { place = position; gl_Position = view * vec4(position.x, 0, position.y, 1); }`;
const FLOOR_FRAGMENT = `#version 300 es
precision highp float; in vec2 place; out vec4 shown;
void main() {
  vec2 cell = abs(fract(place * 2.0 - 0.5) - 0.5) / fwidth(place * 2.0);
  float rule = 1.0 - min(min(cell.x, cell.y), 1.0), fade = 1.0 - smoothstep(1.2, 3.2, length(place));
  shown = vec4(mix(vec3(0.87, 0.84, 0.79), vec3(0.78, 0.74, 0.68), rule), fade);
}`;

export class Stage {
  constructor(canvas) {
    this.canvas = canvas;
    this.figures = [];
    this.front();
    const gl = this.gl = canvas.getContext("webgl2", { antialias: true, stencil: true, alpha: false });
    if (!gl) throw new Error("this browser has no WebGL 2, which the figure is drawn with");
    this.program = linked(gl, VERTEX, FRAGMENT);
    this.ground = linked(gl, FLOOR_VERTEX, FLOOR_FRAGMENT);
    this.floor = gl.createVertexArray();
    gl.bindVertexArray(this.floor);
    attribute(gl, 0, new Float32Array([-4, -4, 4, -4, -4, 4, 4, 4]), 2);
    let last = null;
    canvas.addEventListener("pointerdown", (event) => { last = [event.clientX, event.clientY]; canvas.setPointerCapture(event.pointerId); });
    canvas.addEventListener("pointerup", () => { last = null; });
    canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      this.yaw -= (event.clientX - last[0]) * 0.008;
      this.pitch = Math.min(1.4, Math.max(-0.05, this.pitch + (event.clientY - last[1]) * 0.006));
      last = [event.clientX, event.clientY];
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom = Math.min(3, Math.max(NEAREST, this.zoom * Math.exp(event.deltaY * 0.001)));
    }, { passive: false });
  }

  front() { this.yaw = 0; this.pitch = 0.09; this.zoom = 1; }

  add(figure) {
    const gl = this.gl;
    for (const part of figure.parts) {
      part.array = gl.createVertexArray();
      gl.bindVertexArray(part.array);
      part.buffer = attribute(gl, 0, part.positions, 3);
      attribute(gl, 1, part.normals, 3);
      attribute(gl, 2, part.joints, 4, true);
      attribute(gl, 3, part.weights, 4);
      if (part.tints) attribute(gl, 4, part.tints, 3);
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, part.indices, gl.STATIC_DRAW);
    }
    this.figures.push(figure);
  }

  show(part) {
    this.gl.bindVertexArray(part.array);
    this.gl.drawElements(this.gl.TRIANGLES, part.indices.length, this.gl.UNSIGNED_INT, 0);
  }

  draw(time) {
    const gl = this.gl, canvas = this.canvas, scale = Math.min(devicePixelRatio || 1, 2);
    const [width, height] = [Math.round(canvas.clientWidth * scale), Math.round(canvas.clientHeight * scale)];
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    const count = this.figures.length, aspect = width / Math.max(height, 1);
    const seen = Math.max(2.0, (SPACING * (count - 1) + 1.9) / aspect);
    const far = this.zoom * seen / (2 * Math.tan(VIEW / 2)), target = [0, lookedAt(this.zoom), 0];
    const eye = [
      far * Math.sin(this.yaw) * Math.cos(this.pitch), target[1] + far * Math.sin(this.pitch),
      far * Math.cos(this.yaw) * Math.cos(this.pitch),
    ];
    const view = looking(eye, target, aspect);
    gl.viewport(0, 0, width, height);
    gl.clearColor(...PAPER, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT | gl.STENCIL_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    gl.useProgram(this.ground);
    gl.uniformMatrix4fv(gl.getUniformLocation(this.ground, "view"), false, view);
    gl.bindVertexArray(this.floor);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    gl.useProgram(this.program);
    const at = (name) => gl.getUniformLocation(this.program, name);
    gl.uniformMatrix4fv(at("view"), false, view);
    gl.uniform3fv(at("eye"), eye);
    this.places = this.figures.map((figure, index) => {
      const x = stands(index, count, this.zoom);
      gl.uniform4fv(at("joints"), posed(figure, time));
      gl.uniform3f(at("shift"), x - figure.middle[0], 0, -figure.middle[1]);
      const wood = COLOURS[index + COLOURS.length - count];
      gl.vertexAttrib3f(4, 1, 1, 1);
      for (const part of figure.parts) {
        if (!figure.shapes || !part.shapes.length) continue;
        gl.bindBuffer(gl.ARRAY_BUFFER, part.buffer);
        gl.bufferSubData(gl.ARRAY_BUFFER, 0, shaped(part, figure, time));
      }
      gl.enable(gl.STENCIL_TEST);
      gl.stencilFunc(gl.EQUAL, 0, 255);
      gl.stencilOp(gl.KEEP, gl.KEEP, gl.INCR);
      gl.uniform1f(at("flatness"), 1);
      figure.parts.forEach((part) => this.show(part));
      gl.disable(gl.STENCIL_TEST);
      gl.uniform1f(at("flatness"), 0);
      for (const part of figure.parts) {
        gl.uniform3fv(at("colour"), part.colour || wood);
        this.show(part);
      }
      return 0.5 + 0.5 * (view[0] * x + view[12]) / (view[3] * x + view[7] * target[1] + view[15]);
    });
  }
}

function attribute(gl, index, values, size, whole = false) {
  const buffer = gl.createBuffer();
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
  gl.enableVertexAttribArray(index);
  if (whole) gl.vertexAttribIPointer(index, size, gl.UNSIGNED_SHORT, 0, 0);
  else gl.vertexAttribPointer(index, size, gl.FLOAT, false, 0, 0);
  return buffer;
}

function linked(gl, ...sources) {
  const program = gl.createProgram();
  [gl.VERTEX_SHADER, gl.FRAGMENT_SHADER].forEach((kind, index) => {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, sources[index]);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  });
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  return program;
}

// Metres above the floor that are in the middle of the picture: of the whole figure, and of its face where it is near.
export function lookedAt(zoom) { return 0.92 + 0.93 * Math.max(0, 1 - zoom); }

// Metres to the right of the middle where a figure stands: who comes nearer finds each in its place of the picture.
export function stands(index, count, zoom) { return SPACING * Math.min(1, zoom) * (index - (count - 1) / 2); }

// Perspective times view, column-major.
function looking(eye, target, aspect) {
  const unit = (v) => { const n = Math.hypot(...v); return v.map((value) => value / n); };
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const z = unit(eye.map((value, k) => value - target[k])), x = unit(cross([0, 1, 0], z)), y = cross(z, x);
  const f = 1 / Math.tan(VIEW / 2), [near, far] = [0.1, 60];
  const rows = [
    [...x, -dot(x, eye)].map((value) => value * f / aspect), [...y, -dot(y, eye)].map((value) => value * f),
    [...z, -dot(z, eye)].map((value) => value * (far + near) / (near - far)), [...z, -dot(z, eye)].map((value) => -value),
  ];
  rows[2][3] += 2 * far * near / (near - far);
  return new Float32Array([0, 1, 2, 3].flatMap((column) => rows.map((row) => row[column])));
}
