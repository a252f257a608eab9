// What the page shows in 3D, built from what the report holds.
import {
  BufferAttribute,
  BufferGeometry,
  DoubleSide,
  FrontSide,
  Group,
  LineBasicMaterial,
  LineSegments,
  LinearFilter,
  LinearMipmapLinearFilter,
  Mesh,
  MeshBasicMaterial,
  MeshStandardMaterial,
  Points,
  PointsMaterial,
  SRGBColorSpace,
  TextureLoader,
} from "three";
import { colorsFrom, columnsFrom, positionsFrom } from "./packing.js";

const PATH_COLORS = [0xe8833a, 0x3a8fe8, 0x49b265, 0xc25fd0, 0xd6b72d, 0xd64a5b, 0x2bb3b3];
const CLAY = 0xcfc6bb;

// Light is linear in three.js, the bytes are sRGB (IEC 61966-2-1).
const LINEAR = Float32Array.from({ length: 256 }, (_, level) => {
  const value = level / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
});

function linearColors(columns) {
  return new BufferAttribute(Float32Array.from(colorsFrom(columns), (level) => LINEAR[level]), 3);
}

function textureFrom(id) {
  const texture = new TextureLoader().load(document.getElementById(id).src);
  texture.colorSpace = SRGBColorSpace;
  texture.minFilter = LinearMipmapLinearFilter;
  texture.magFilter = LinearFilter;
  texture.anisotropy = 4;
  return texture;
}

/** The mesh in two materials: as it looks, and as clay that shows its shape. */
export async function meshFrom(text, about) {
  const columns = await columnsFrom(text, about.layout);
  const geometry = new BufferGeometry();
  const positions = positionsFrom(columns, about.low, about.step);
  geometry.setAttribute("position", new BufferAttribute(positions, 3));
  const faces = new Uint32Array(3 * columns.first.length);
  for (let i = 0; i < columns.first.length; i += 1) {
    faces[3 * i] = columns.first[i];
    faces[3 * i + 1] = (columns.first[i] + columns.second[i]) >>> 0;
    faces[3 * i + 2] = (columns.first[i] + columns.third[i]) >>> 0;
  }
  geometry.setIndex(new BufferAttribute(faces, 1));
  geometry.computeVertexNormals();
  let colored;
  if (about.pages.length) {
    const uv = new Float32Array(2 * columns.u.length);
    for (let i = 0; i < columns.u.length; i += 1) {
      uv[2 * i] = columns.u[i] / 65535;
      uv[2 * i + 1] = columns.v[i] / 65535;
    }
    geometry.setAttribute("uv", new BufferAttribute(uv, 2));
    about.pages.forEach(({ first, count }, page) => geometry.addGroup(3 * first, 3 * count, page));
    colored = about.pages.map(({ id }) => new MeshBasicMaterial({ map: textureFrom(id) }));
  } else if (columns.r) {
    geometry.setAttribute("color", linearColors(columns));
    colored = [new MeshBasicMaterial({ vertexColors: true })];
  } else {
    colored = [new MeshStandardMaterial({ color: CLAY, roughness: 0.9 })];
  }
  const clay = colored.map(() => new MeshStandardMaterial({ color: CLAY, roughness: 0.9 }));
  const mesh = new Mesh(geometry);
  const dress = (materials) => {
    mesh.material = about.pages.length ? materials : materials[0];
  };
  dress(colored);
  return {
    object: mesh,
    setClay: (on) => dress(on ? clay : colored),
    setWireframe: (on) => [...colored, ...clay].forEach((m) => (m.wireframe = on)),
    setBothSides: (on) =>
      [...colored, ...clay].forEach((m) => {
        m.side = on ? DoubleSide : FrontSide;
        m.needsUpdate = true;
      }),
  };
}

export async function cloudFrom(text, about) {
  const columns = await columnsFrom(text, about.layout);
  const geometry = new BufferGeometry();
  const positions = positionsFrom(columns, about.low, about.step);
  geometry.setAttribute("position", new BufferAttribute(positions, 3));
  geometry.setAttribute("color", linearColors(columns));
  const material = new PointsMaterial({ size: about.size, vertexColors: true });
  return new Points(geometry, material);
}

/** Pyramids of the cameras, one colour a trajectory, and the path that joins them. */
export function camerasFrom(cameras, size) {
  const group = new Group();
  const paths = new Map();
  for (const camera of cameras) {
    if (!paths.has(camera.path)) paths.set(camera.path, []);
    paths.get(camera.path).push(camera);
  }
  [...paths.values()].forEach((members, index) => {
    const color = PATH_COLORS[index % PATH_COLORS.length];
    const corners = [];
    for (const camera of members) corners.push(...pyramid(camera, size));
    for (let i = 1; i < members.length; i += 1) {
      corners.push(...members[i - 1].centre, ...members[i].centre);
    }
    const geometry = new BufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(Float32Array.from(corners), 3));
    group.add(new LineSegments(geometry, new LineBasicMaterial({ color })));
  });
  return group;
}

function pyramid({ centre, right, down, forward, halfWidth, halfHeight }, size) {
  const at = (x, y) =>
    centre.map((c, k) => c + size * (forward[k] + x * halfWidth * right[k] + y * halfHeight * down[k]));
  const tips = [at(-1, -1), at(1, -1), at(1, 1), at(-1, 1)];
  const lines = [];
  tips.forEach((tip, i) => lines.push(...centre, ...tip, ...tip, ...tips[(i + 1) % 4]));
  return lines;
}
