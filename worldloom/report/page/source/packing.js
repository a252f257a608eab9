// Arrays as the report packs them: differences, cut into planes of bytes, deflated, base64.
// The other side is worldloom/report/_packing.py.

function bytesFromBase64(text) {
  const binary = atob(text.trim());
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function unpacked(bytes, offset, { count, width }) {
  const values = new Uint32Array(count);
  const wrap = width === 4 ? 0xffffffff : 2 ** (8 * width) - 1;
  let last = 0;
  for (let i = 0; i < count; i += 1) {
    let coded = 0;
    for (let plane = width - 1; plane >= 0; plane -= 1) {
      coded = coded * 256 + bytes[offset + plane * count + i];
    }
    // Zigzag: small differences of either sign are small numbers.
    const difference = coded % 2 ? -(coded + 1) / 2 : coded / 2;
    last += difference;
    values[i] = wrap === 0xffffffff ? last >>> 0 : last & wrap;
    last = values[i];
  }
  return values;
}

/** Returns the packed columns by name. */
export async function columnsFrom(text, layout) {
  const bytes = await inflated(bytesFromBase64(text));
  const columns = {};
  let offset = 0;
  for (const column of layout) {
    columns[column.name] = unpacked(bytes, offset, column);
    offset += column.count * column.width;
  }
  return columns;
}

/** Joins three columns of steps into coordinates relative to the origin of the page's scene. */
export function positionsFrom(columns, low, step) {
  const { x, y, z } = columns;
  const positions = new Float32Array(3 * x.length);
  for (let i = 0; i < x.length; i += 1) {
    positions[3 * i] = low[0] + step * x[i];
    positions[3 * i + 1] = low[1] + step * y[i];
    positions[3 * i + 2] = low[2] + step * z[i];
  }
  return positions;
}

/** Joins three columns of levels into sRGB bytes. */
export function colorsFrom(columns) {
  const { r, g, b } = columns;
  const colors = new Uint8Array(3 * r.length);
  for (let i = 0; i < r.length; i += 1) {
    colors[3 * i] = r[i];
    colors[3 * i + 1] = g[i];
    colors[3 * i + 2] = b[i];
  }
  return colors;
}
