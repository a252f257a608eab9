// The interactive model: orbit, looks, cameras, a picture of it. Draws only when something changed.
import {
  Color,
  DirectionalLight,
  HemisphereLight,
  PerspectiveCamera,
  Scene,
  Vector3,
  WebGLRenderer,
} from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { isDark } from "./theme.js";
import { camerasFrom, cloudFrom, meshFrom } from "./things.js";

const FIELD_OF_VIEW_DEG = 50;
const OVERVIEW_RADII = 2.1;
const TURN = Math.PI / 36;
const ZOOM = 1.1;
const PAPER = { light: 0xeceef1, dark: 0x15181d };

function told(root, state, text) {
  root.dataset.state = state;
  root.querySelector(".note").textContent = text;
}

export async function startModel() {
  const root = document.getElementById("model");
  if (!root) return;
  const about = JSON.parse(document.getElementById("model-data").textContent);
  try {
    const stage = new Stage(root, about);
    told(root, "loading", "Unpacking the model …");
    await stage.load();
    root.querySelector(".controls").hidden = false;
    told(root, "ready", "");
  } catch (error) {
    // Without WebGL or DecompressionStream the rest of the page still has its pictures.
    told(root, "failed", `No 3D view in this browser (${error.message}). The pictures below show the scene.`);
  }
}

class Stage {
  constructor(root, about) {
    this.root = root;
    this.about = about;
    this.canvas = root.querySelector("canvas");
    this.renderer = new WebGLRenderer({ canvas: this.canvas, antialias: true });
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.scene = new Scene();
    const { near, far } = about.range;
    this.camera = new PerspectiveCamera(FIELD_OF_VIEW_DEG, 1, near, far);
    this.camera.up.set(...about.up);
    this.controls = new OrbitControls(this.camera, this.canvas);
    this.controls.addEventListener("change", () => this.draw());
    this.scene.add(new HemisphereLight(0xffffff, 0x8d8578, 1.6));
    this.light = new DirectionalLight(0xffffff, 1.6);
    this.scene.add(this.light);
    this.paint(isDark());
    document.addEventListener("themechange", ({ detail }) => this.paint(detail.dark));
    new ResizeObserver(() => this.resize()).observe(this.canvas.parentElement);
  }

  async load() {
    const text = (id) => document.getElementById(id).textContent;
    this.mesh = await meshFrom(text("mesh-data"), this.about.mesh);
    this.scene.add(this.mesh.object);
    if (this.about.cloud) {
      this.cloud = await cloudFrom(text("cloud-data"), this.about.cloud);
      this.cloud.visible = false;
      this.scene.add(this.cloud);
    }
    this.frusta = camerasFrom(this.about.cameras, this.about.frustum);
    this.scene.add(this.frusta);
    this.listen();
    this.resize();
    this.overview();
  }

  listen() {
    const on = (name, event, act) => {
      const element = this.root.querySelector(`[name=${name}]`);
      element?.addEventListener(event, () => {
        act(element);
        this.draw();
      });
    };
    on("mesh", "change", (box) => (this.mesh.object.visible = box.checked));
    on("cloud", "change", (box) => (this.cloud.visible = box.checked));
    on("cameras", "change", (box) => (this.frusta.visible = box.checked));
    on("clay", "change", (box) => this.mesh.setClay(box.checked));
    on("wireframe", "change", (box) => this.mesh.setWireframe(box.checked));
    on("sides", "change", (box) => this.mesh.setBothSides(box.checked));
    on("spin", "change", (box) => this.spin(box.checked));
    on("overview", "click", () => this.overview());
    on("picture", "click", () => this.savePicture());
    on("view", "change", (list) => list.value !== "" && this.stand(Number(list.value)));
    for (const button of document.querySelectorAll("button[data-view]")) {
      button.hidden = false;
      button.addEventListener("click", () => {
        this.stand(Number(button.dataset.view));
        this.root.scrollIntoView({ block: "nearest" });
        this.canvas.focus({ preventScroll: true });
      });
    }
    this.canvas.addEventListener("keydown", (event) => this.key(event));
  }

  /** Looks at all of the scene from above and outside: faces seen from behind are left out. */
  overview() {
    const { target, outwards, radius } = this.about;
    const distance = OVERVIEW_RADII * radius * Math.max(1, 1.15 / this.camera.aspect);
    this.camera.fov = FIELD_OF_VIEW_DEG;
    this.place(outwards.map((part, k) => target[k] + distance * part), target);
  }

  /** Looks as one of the cameras did, the world kept upright. */
  stand(index) {
    const { centre, forward, halfHeight, depth } = this.about.cameras[index];
    this.camera.fov = (360 / Math.PI) * Math.atan(Math.max(halfHeight, this.halfWidthNeeded(index)));
    this.place(centre, centre.map((c, k) => c + depth * forward[k]));
    this.root.querySelector("[name=view]").value = String(index);
  }

  halfWidthNeeded(index) {
    return this.about.cameras[index].halfWidth / this.camera.aspect;
  }

  place(position, target) {
    this.camera.position.set(...position);
    this.controls.target.set(...target);
    this.camera.updateProjectionMatrix();
    this.controls.update();
    this.draw();
  }

  key(event) {
    const turns = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const offset = this.camera.position.clone().sub(this.controls.target);
    const up = this.camera.up.clone().normalize();
    if (event.key in turns) {
      const [around, over] = turns[event.key];
      offset.applyAxisAngle(up, around * TURN);
      const side = new Vector3().crossVectors(up, offset).normalize();
      const tilted = offset.clone().applyAxisAngle(side, over * TURN);
      if (Math.abs(tilted.clone().normalize().dot(up)) < 0.99) offset.copy(tilted);
    } else if (event.key === "+" || event.key === "=") offset.divideScalar(ZOOM);
    else if (event.key === "-") offset.multiplyScalar(ZOOM);
    else return;
    event.preventDefault();
    this.camera.position.copy(this.controls.target).add(offset);
    this.controls.update();
    this.draw();
  }

  spin(on) {
    this.controls.autoRotate = on;
    this.renderer.setAnimationLoop(on ? () => this.controls.update() : null);
  }

  paint(dark) {
    this.scene.background = new Color(dark ? PAPER.dark : PAPER.light);
    this.draw();
  }

  resize() {
    const { clientWidth, clientHeight } = this.canvas.parentElement;
    if (!clientWidth || !clientHeight) return;
    this.renderer.setSize(clientWidth, clientHeight, false);
    this.camera.aspect = clientWidth / clientHeight;
    this.camera.updateProjectionMatrix();
    this.draw();
  }

  draw() {
    this.light.position.copy(this.camera.position);
    this.light.target.position.copy(this.controls.target);
    this.light.target.updateMatrixWorld();
    this.renderer.render(this.scene, this.camera);
  }

  savePicture() {
    this.draw();
    // In the same turn as the drawing: the buffer is cleared after it.
    this.canvas.toBlob((blob) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = "worldloom.png";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }
}
