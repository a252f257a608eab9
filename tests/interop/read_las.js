// node read_las.js MODULES FILE: all points of a las or laz as copc and laz-perf read it, as JSON.
const fs = require("fs");
const path = require("path");

const NAMES = ["X", "Y", "Z", "Red", "Green", "Blue", "NormalX", "NormalY", "NormalZ"];

async function main(modules, file) {
  const { Las } = require(path.join(modules, "copc"));
  const { createLazPerf } = require(path.join(modules, "laz-perf"));
  const bytes = new Uint8Array(fs.readFileSync(file));
  const get = async (begin, end) => bytes.subarray(begin, end);
  const header = Las.Header.parse(bytes);
  const records = await Las.Vlr.walk(get, header);
  const described = await Las.Vlr.fetch(get, Las.Vlr.find(records, "LASF_Spec", 4));
  const data = file.endsWith(".laz")
    ? await Las.PointData.decompressFile(bytes, await createLazPerf())
    : bytes.subarray(header.pointDataOffset);
  const view = Las.View.create(data, header, Las.ExtraBytes.parse(described));
  const getters = [...NAMES, "confidence", "views"].map((name) => view.getter(name));
  const points = [];
  for (let k = 0; k < header.pointCount; k++) points.push(getters.map((getter) => getter(k)));
  const version = `${header.majorVersion}.${header.minorVersion}`;
  console.log(JSON.stringify({ version, format: header.pointDataRecordFormat, points }));
}

main(process.argv[2], process.argv[3]);
