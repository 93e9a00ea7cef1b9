// A notifier: each alert as one JSON object to a URL. The component's face, which the host calls.

import { body, refusal } from "./alert.js";
import { read, secret, send } from "./http.js";
import { encode } from "./text.js";

const REFUSAL_BYTES = 64 * 1024;

export const notice = {
  // An error is thrown.
  notify(settings, alert) {
    const { get, need } = read(settings);
    const headers = [["content-type", "application/json"]];
    if (get("key")) headers.push(["authorization", secret(get("key"), "Bearer ")]);
    const answer = send("post", need("url"), headers, encode(body(alert)));
    const error = refusal(answer.status, answer.isSuccess ? "" : answer.some(REFUSAL_BYTES));
    if (error) throw error;
  },
};
