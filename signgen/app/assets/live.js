"use strict";
// Shows the frames of a live render and how late they are. Each frame is a JSON message and a JPEG after it.
const canvas = document.getElementById("picture");
const figures = document.getElementById("figures");
const context = canvas.getContext("2d");
let about = null;
let dropped = 0;
let shown = -1;

async function show(picture, told) {
  const image = await createImageBitmap(new Blob([picture], { type: "image/jpeg" }));
  if (told.number < shown) return; // a later frame was ready earlier
  shown = told.number;
  if (canvas.width !== image.width || canvas.height !== image.height) {
    canvas.width = image.width;
    canvas.height = image.height;
  }
  context.drawImage(image, 0, 0);
  image.close();
  figures.textContent =
    `frame ${told.number}, ${told.delay_ms.toFixed(0)} ms after its keypoints, ` +
    `${told.fps.toFixed(1)} frames a second, ${dropped} left out`;
}

function connect() {
  const socket = new WebSocket(`ws://${location.host}/frames`);
  socket.binaryType = "arraybuffer";
  socket.onmessage = (message) => {
    if (typeof message.data === "string") {
      about = JSON.parse(message.data);
      dropped += about.dropped;
    } else if (about !== null) {
      show(message.data, about);
    }
  };
  socket.onclose = () => {
    figures.textContent = "The render has ended, or is starting again";
    shown = -1;
    setTimeout(connect, 1000);
  };
}
connect();
