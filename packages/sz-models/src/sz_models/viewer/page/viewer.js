"use strict";

const TEXTS = {
  en: {
    spikes: "Spikes", back: "Back", forth: "Forth", play: "Play", pause: "Pause", frame: "Key frame",
    step: "Step", pixel: "Pixel", reconstruction: "Reconstruction", method: "Method",
    window: "Window, frames", sigma: "Width \u03c3, frames", bright: "White, spikes/frame",
    auto: "Fit brightness", full: "Set to 1", histogram: "Histogram", export: "Export",
    png: "This image as PNG", from: "From", to: "To", every: "Every", fps: "Images/s",
    mp4: "Range as MP4", pictures: "Pictures", settings: "Settings",
    keys: "Keys: left and right step, with Shift ten frames; Home and End; Space plays. Click a picture to follow a pixel.",
    size: "{w} \u00d7 {h} pixels, {n} frames", fired: "{p} % fire", key: "frame {k}, {ms} ms",
    rate: "{r} spikes/frame in {n} frames, interval {i}", levels: "mean {m}, from {a} to {b}",
    making: "Making the video \u2026", made: "Video saved", failed: "The viewer does not answer; was it ended?",
    novideo: "Videos need PyAV: pip install 'sz-models[video]'", most: "At most {n} images.",
    "m.spikes": "Spikes", "m.tfp": "TFP", "m.tfi": "TFI", "m.isi": "Mean interval", "m.gtfp": "Gaussian TFP",
    "a.spikes": "The spikes of one frame.", "a.tfp": "Mean of the window.",
    "a.tfi": "Inverse of the interval that holds the key frame.",
    "a.isi": "Inverse of the mean interval in the window.",
    "a.gtfp": "Mean with Gaussian weights around the key frame.",
  },
  zh: {
    spikes: "脉冲", back: "后退", forth: "前进", play: "播放", pause: "暂停", frame: "关键帧",
    step: "步长", pixel: "像素", reconstruction: "重建", method: "方法",
    window: "窗口（帧）", sigma: "宽度 \u03c3（帧）", bright: "白色（脉冲/帧）",
    auto: "适应亮度", full: "设为 1", histogram: "直方图", export: "导出",
    png: "当前图像存为 PNG", from: "起始帧", to: "结束帧", every: "间隔", fps: "图像/秒",
    mp4: "区间存为 MP4", pictures: "图像", settings: "设置",
    keys: "按键：左右键移动一帧，加 Shift 移动十帧；Home、End 到两端；空格播放。点击图像可查看该像素。",
    size: "{w} \u00d7 {h} 像素，{n} 帧", fired: "{p} % 发放", key: "第 {k} 帧，{ms} 毫秒",
    rate: "{n} 帧内 {r} 脉冲/帧，间隔 {i}", levels: "均值 {m}，从 {a} 到 {b}",
    making: "正在生成视频 \u2026", made: "视频已保存", failed: "查看器没有响应，是否已退出？",
    novideo: "视频需要 PyAV：pip install 'sz-models[video]'", most: "最多 {n} 幅图像。",
    "m.spikes": "脉冲", "m.tfp": "TFP", "m.tfi": "TFI", "m.isi": "平均间隔", "m.gtfp": "高斯 TFP",
    "a.spikes": "一帧的脉冲。", "a.tfp": "窗口内的均值。", "a.tfi": "关键帧所在脉冲间隔的倒数。",
    "a.isi": "窗口内平均脉冲间隔的倒数。", "a.gtfp": "以关键帧为中心的高斯加权均值。",
  },
};

const language = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
const $ = (id) => document.getElementById(id);
const say = (key, values = {}) =>
  TEXTS[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);

const state = { info: null, frame: 0, x: 0, y: 0, playing: false, busy: false, stale: false, making: false };

// ---- the server ----

async function ask(path, values = {}) {
  let reply;
  try {
    reply = await fetch(`${path}?${new URLSearchParams(values)}`);
  } catch {
    throw new Error(say("failed"));
  }
  if (reply.ok) return reply;
  throw new Error((await reply.json()).error);
}

function view(method = $("method").value) {
  const values = { method };
  if (shortest(method) !== null) values.window = $("window").value;
  if (method === "gtfp") values.sigma = $("sigma").value;
  if (method !== "spikes") values.rate = $("bright").value;
  return values;
}

const shortest = (method) => state.info.methods.find((m) => m.name === method).shortest;

// Key frames whose window lies in the recording.
function bounds() {
  const half = shortest($("method").value) === null ? 0 : Math.floor($("window").value / 2);
  return [half, state.info.frames - 1 - half];
}

// ---- drawing ----

async function drawPicture(canvas, values) {
  const bitmap = await createImageBitmap(await (await ask("api/image", values)).blob());
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, bitmap.width, bitmap.height).data;
  const counts = new Uint32Array(256);
  for (let i = 0; i < pixels.length; i += 4) counts[pixels[i]] += 1;
  return counts;
}

// A canvas as sharp as the screen; gives its context and size in CSS pixels.
function plot(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.font = "11px system-ui, sans-serif";
  return [context, width, height];
}

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

function drawHistogram(counts) {
  const [context, width, height] = plot($("histogram"));
  const seen = [...counts.keys()].filter((level) => counts[level]);
  // Few levels, as a mean of few frames has, are drawn each, as wide as they are apart.
  const group = seen.length > 64 ? 4 : 1;
  const cell = (width * group) / 256;
  const bars = new Map();
  for (const level of seen) {
    const bar = Math.floor(level / group);
    bars.set(bar, (bars.get(bar) ?? 0) + counts[level]);
  }
  const places = [...bars.keys()];
  const gaps = places.slice(1).map((place, i) => place - places[i]).sort((a, b) => a - b);
  const thick = Math.max(2, Math.round(Math.min(12, (gaps[gaps.length >> 1] ?? 256) * cell - 1)));
  const highest = Math.sqrt(Math.max(...bars.values()));
  context.fillStyle = color("--accent");
  for (const [place, count] of bars) {
    const tall = (Math.sqrt(count) / highest) * (height - 16);
    const left = Math.round((place + 0.5) * cell - thick / 2);
    context.fillRect(Math.min(width - thick, Math.max(0, left)), height - 14 - tall, thick, tall);
  }
  context.fillStyle = color("--dim");
  context.fillRect(0, height - 14, width, 1);
  for (const [level, x, align] of [[0, 0, "left"], [128, width / 2, "center"], [255, width, "right"]]) {
    context.textAlign = align;
    context.fillText(level, x, height - 2);
  }
  const total = counts.reduce((a, b) => a + b, 0);
  const mean = counts.reduce((sum, count, level) => sum + count * level, 0) / total;
  const text = say("levels", { m: mean.toFixed(1), a: seen[0], b: seen[seen.length - 1] });
  $("levels").textContent = text;
  $("histogram").setAttribute("aria-label", text);
}

async function drawPixel() {
  const { x, y, frame } = state;
  const [low] = bounds();
  const reach = Math.min(200, Math.max(60, low));
  const train = await (await ask("api/pixel", { x, y, frame, reach })).json();
  const [context, width, height] = plot($("raster"));
  const columns = 2 * reach + 1;
  const left = frame - reach;
  const cell = width / columns;
  if (low > 0) {
    context.fillStyle = "#59b3ff26";
    context.fillRect((reach - low) * cell, 0, (2 * low + 1) * cell, height - 16);
  }
  context.fillStyle = color("--ink");
  [...train.spikes].forEach((spike, i) => {
    if (spike === "1") {
      context.fillRect((train.first + i - left + 0.5) * cell - 1, 6, Math.max(1.5, Math.min(3, cell - 1)), height - 28);
    }
  });
  context.fillStyle = color("--mark");
  context.fillRect((reach + 0.5) * cell - 0.5, 0, 1, height - 16);
  context.fillStyle = color("--dim");
  context.fillRect(0, height - 16, width, 1);
  const labels = [["left", 0, left], ["center", width / 2, frame], ["right", width, frame + reach]];
  for (const [align, at, number] of labels) {
    if (number < 0 || number >= state.info.frames) continue;
    context.textAlign = align;
    context.fillText(number, at, height - 3);
  }
  const interval = train.rate ? (1 / train.rate).toFixed(1) : "\u2013";
  const text = say("rate", { r: train.rate.toFixed(3), n: train.spikes.length, i: interval });
  $("rate").textContent = text;
  $("raster").setAttribute("aria-label", text);
  for (const mark of document.querySelectorAll(".mark")) {
    mark.style.left = `${((x + 0.5) / state.info.width) * 100}%`;
    mark.style.top = `${((y + 0.5) / state.info.height) * 100}%`;
    mark.hidden = false;
  }
}

// One drawing at a time; what was asked for meanwhile is drawn once at its end.
async function draw() {
  if (state.busy) {
    state.stale = true;
    return;
  }
  state.busy = true;
  document.body.dataset.state = "busy";
  try {
    do {
      state.stale = false;
      await drawAll();
    } while (state.stale);
    if (right("window", "sigma", "bright")) tell(state.making ? say("making") : "");
  } catch (error) {
    play(false);
    tell(error.message, true);
  }
  state.busy = false;
  document.body.dataset.state = "ready";
}

async function drawAll() {
  const { frame } = state;
  const method = $("method").value;
  const begun = performance.now();
  const [fired, counts] = await Promise.all([
    drawPicture($("spikes"), { method: "spikes", frame }),
    drawPicture($("image"), { ...view(), frame }),
  ]);
  const ms = Math.round(performance.now() - begun);
  const share = (100 * fired[255]) / (state.info.width * state.info.height);
  $("spikes-note").textContent = say("fired", { p: share.toFixed(1) });
  $("image-note").textContent = say("key", { k: frame, ms });
  $("image-title").textContent = say(`m.${method}`);
  $("spikes").setAttribute("aria-label", `${say("spikes")} ${frame}`);
  $("image").setAttribute("aria-label", `${say(`m.${method}`)} ${frame}`);
  $("png").href = `api/image?${new URLSearchParams({ ...view(), frame })}`;
  $("png").download = `${method}_${frame}.png`;
  drawHistogram(counts);
  await drawPixel();
}

function tell(text, bad = false) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", bad);
}

// ---- what the visitor does ----

function go(frame) {
  const [low, high] = bounds();
  state.frame = Math.min(high, Math.max(low, Math.round(frame) || 0));
  $("time").value = $("frame").value = state.frame;
  return draw();
}

// Whether the fields that are seen hold what they may; tells what is wrong with the first other one.
function right(...ids) {
  const wrong = ids.map($).find((field) => field.offsetParent && !field.checkValidity());
  if (wrong) {
    play(false);
    tell(`${wrong.labels[0].textContent.trim()}: ${wrong.validationMessage}`, true);
  }
  return !wrong;
}

function settings() {
  const method = $("method").value;
  const least = shortest(method);
  $("window-row").hidden = least === null;
  $("sigma-row").hidden = method !== "gtfp";
  for (const id of ["bright-row", "bright-buttons"]) $(id).hidden = method === "spikes";
  $("window").min = (least ?? 1) | 1;  // odd, as its steps are counted from it
  $("about").textContent = say(`a.${method}`);
  if (!right("window", "sigma", "bright")) return;
  const [low, high] = bounds();
  for (const id of ["time", "frame", "from", "to"]) [$(id).min, $(id).max] = [low, high];
  $("from").value = Math.max(low, Math.min(high, $("from").value));
  $("to").value = Math.max(low, Math.min(high, $("to").value));
  go(state.frame);
}

async function play(on) {
  if (state.playing === on) return;
  state.playing = on;
  $("play").setAttribute("aria-pressed", on);
  $("play").setAttribute("aria-label", say(on ? "pause" : "play"));
  while (state.playing) {
    const [low, high] = bounds();
    const next = state.frame + Number($("step").value);
    const pause = new Promise((done) => setTimeout(done, 40));
    await go(next > high ? low : next);
    await pause;
  }
}

function pick(x, y) {
  state.x = Math.min(state.info.width - 1, Math.max(0, Math.floor(x) || 0));
  state.y = Math.min(state.info.height - 1, Math.max(0, Math.floor(y) || 0));
  [$("x").value, $("y").value] = [state.x, state.y];
  draw();
}

async function saveVideo() {
  if (!right("window", "sigma", "bright", "from", "to", "every", "fps")) return;
  $("mp4").disabled = true;
  state.making = true;
  tell(say("making"));
  let told;
  try {
    const reply = await ask("api/video", {
      ...view(), start: $("from").value, stop: Number($("to").value) + 1,
      step: $("every").value, fps: $("fps").value,
    });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await reply.blob());
    link.download = `${$("method").value}_${$("from").value}-${$("to").value}.mp4`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    told = [say("made")];
  } catch (error) {
    told = [error.message, true];
  }
  state.making = false;
  tell(...told);
  $("mp4").disabled = false;
}

function onKey(event) {
  if (event.target.closest("input:not([type=range]), select")) return;
  if (event.key === " " && event.target.closest("button, a")) return;
  const stride = event.shiftKey ? 10 : 1;
  const [low, high] = bounds();
  const targets = {
    ArrowLeft: state.frame - stride, ArrowRight: state.frame + stride, Home: low, End: high,
  };
  if (event.key === " ") play(!state.playing);
  else if (event.key in targets && !event.ctrlKey && !event.altKey && !event.metaKey) go(targets[event.key]);
  else return;
  event.preventDefault();
}

function listen() {
  $("time").addEventListener("input", () => go(Number($("time").value)));
  $("frame").addEventListener("change", () => go(Number($("frame").value)));
  $("back").addEventListener("click", () => go(state.frame - 1));
  $("forth").addEventListener("click", () => go(state.frame + 1));
  $("play").addEventListener("click", () => play(!state.playing));
  for (const id of ["method", "window", "sigma", "bright"]) $(id).addEventListener("change", settings);
  $("auto").addEventListener("click", () => { $("bright").value = state.info.rate; settings(); });
  $("full").addEventListener("click", () => { $("bright").value = 1; settings(); });
  for (const id of ["x", "y"]) $(id).addEventListener("change", () => pick($("x").value, $("y").value));
  for (const id of ["spikes", "image"]) {
    $(id).addEventListener("click", (event) => {
      const box = $(id).getBoundingClientRect();
      pick(((event.clientX - box.left) / box.width) * state.info.width,
        ((event.clientY - box.top) / box.height) * state.info.height);
    });
  }
  $("mp4").addEventListener("click", saveVideo);
  document.addEventListener("keydown", onKey);
  window.addEventListener("resize", () => draw());
}

function translate() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", say(element.dataset.label));
  $("play").setAttribute("aria-label", say("play"));
}

async function start() {
  translate();
  let info;
  try {
    info = state.info = await (await ask("api/info")).json();
  } catch (error) {
    tell(error.message, true);
    return;
  }
  document.title = `${info.name} \u2013 sz-models`;
  $("name").textContent = info.name;
  document.documentElement.style.setProperty("--aspect", info.width / info.height);
  $("size").textContent = say("size", { w: info.width, h: info.height, n: info.frames });
  $("last").textContent = `/ ${info.frames - 1}`;
  for (const { name, shortest: least } of info.methods) {
    const option = new Option(say(`m.${name}`), name);
    option.disabled = (least | 1) > info.window.most;
    $("method").add(option);
  }
  $("method").value = "tfp";
  [$("window").value, $("window").max] = [info.window.default, info.window.most];
  [$("sigma").value, $("sigma").max] = [info.sigma.default, info.sigma.most];
  $("bright").value = info.rate;
  [$("x").max, $("y").max] = [info.width - 1, info.height - 1];
  $("video-note").hidden = false;
  $("video-note").textContent = info.video ? say("most", { n: info.videoFrames }) : say("novideo");
  $("mp4").disabled = !info.video;
  state.frame = Math.floor(info.frames / 2);
  [state.x, state.y] = [info.width >> 1, info.height >> 1];
  [$("x").value, $("y").value] = [state.x, state.y];
  [$("from").value, $("to").value] = [0, info.frames - 1];
  listen();
  settings();
}

start();
