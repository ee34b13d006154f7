// stripe-stateful-mock on loopback, at a free port that it prints. Argument: the folder of its node_modules.
"use strict";

const http = require("http");
const path = require("path");

const { createExpressApp } = require(path.join(process.argv[2], "stripe-stateful-mock"));
const server = http.createServer(createExpressApp());
server.listen(0, "127.0.0.1", () => console.log(`listening ${server.address().port}`));
