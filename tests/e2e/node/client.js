// A client that knows the .proto files and nothing else of us: uploads, creates, watches.
const crypto = require("node:crypto");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [address, token, protos] = process.argv.slice(2);
const files = ["asset", "reconstruction", "operation", "export", "scene", "metrics"];
const definition = loader.loadSync(
  files.map((name) => `worldloom/v1/${name}_service.proto`),
  { includeDirs: [protos], keepCase: true, longs: Number, enums: String, oneofs: true },
);
const v1 = grpc.loadPackageDefinition(definition).worldloom.v1;
const metadata = new grpc.Metadata();
metadata.set("authorization", `Bearer ${token}`);
const insecure = grpc.credentials.createInsecure();
const assets = new v1.AssetService(address, insecure);
const jobs = new v1.ReconstructionService(address, insecure);

const call = (client, method, request, who = metadata) =>
  new Promise((resolve, reject) =>
    client[method](request, who, (error, answer) => (error ? reject(error) : resolve(answer))),
  );

function crc32c(data) {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

async function main() {
  const data = Buffer.from("a video, as far as the service can tell");
  const upload = await call(assets, "StartUpload", {
    display_name: "node.mp4",
    size_bytes: data.length,
  });
  await call(assets, "UploadPart", { name: upload.name, data, crc32c: crc32c(data) });
  const sha256 = crypto.createHash("sha256").update(data).digest();
  const asset = await call(assets, "CommitUpload", { name: upload.name, sha256 });

  const pieces = [];
  for await (const piece of assets.DownloadAsset({ name: asset.name }, metadata)) {
    pieces.push(piece.data);
  }
  const job = await call(jobs, "CreateReconstructionJob", {
    reconstruction_job: { display_name: "node", inputs: [{ media_asset: asset.name }] },
    request_id: "node-1",
  });
  await call(jobs, "CancelReconstructionJob", { name: job.name });
  const states = [];
  for await (const message of jobs.WatchReconstructionJob({ name: job.name }, metadata)) {
    if (message.event.event === "state_change") states.push(message.event.state_change.state);
  }
  const refused = await call(jobs, "GetReconstructionJob", { name: job.name }, new grpc.Metadata())
    .then(() => "OK", (error) => grpc.status[error.code]);
  console.log(JSON.stringify({
    same: Buffer.concat(pieces).equals(data),
    job: job.name,
    states,
    refused,
  }));
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
