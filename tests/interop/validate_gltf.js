// node validate_gltf.js MODULES FILE...: what Khronos' validator says, as JSON.
const fs = require("fs");
const path = require("path");

async function main(modules, files) {
  const validator = require(path.join(modules, "gltf-validator"));
  const reports = [];
  for (const file of files) {
    const beside = (uri) => path.join(path.dirname(file), decodeURIComponent(uri));
    const report = await validator.validateBytes(new Uint8Array(fs.readFileSync(file)), {
      uri: path.basename(file),
      externalResourceFunction: async (uri) => new Uint8Array(fs.readFileSync(beside(uri))),
    });
    reports.push({ file, version: validator.version(), issues: report.issues, info: report.info });
  }
  console.log(JSON.stringify(reports));
}

main(process.argv[2], process.argv.slice(3));
