// A server behind express-rate-limit: node server.js LIMIT WINDOW_MS. Prints its address on one line.
const express = require("express");
const { rateLimit } = require("express-rate-limit");

const [limit, windowMs] = process.argv.slice(2).map(Number);
const app = express();
app.use(rateLimit({ limit, windowMs, standardHeaders: "draft-8", legacyHeaders: true }));
app.get("/", (request, response) => response.send("ok"));
const server = app.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/`));
server.keepAliveTimeout = 600_000;
