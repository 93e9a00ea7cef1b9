/** Making this machine a member of another's cluster. */
import { useState } from "react";
import { api, json } from "../api/client";
import { useChange } from "../api/queries";
import type { Joined } from "../api/types";
import { Button, Notice, Trouble } from "../ui/basics";
import { WaitForAdoption } from "./adopt";
import { FlagField, TextField } from "../ui/fields";

export function Join() {
  const [token, setToken] = useState("");
  const [at, setAt] = useState("");
  const [name, setName] = useState("");
  const [leave, setLeave] = useState(false);
  const join = useChange(
    () =>
      json<Joined>(api("/cluster/join"), {
        method: "POST",
        body: { token: token.trim(), at: at.split(/[\s,]+/).filter(Boolean), name: name.trim() || null, leave },
      }),
    ["nodes", "top", "setup"],
  );
  if (join.data) {
    return (
      <Notice tone="good" title={`This machine has joined the cluster at ${join.data.at}.`}>
        {join.data.pending && <p>Somebody has to approve it there first.</p>}
        {join.data.set_aside && <p>What this machine kept of its own cluster lies in <code>{join.data.set_aside}</code>.</p>}
      </Notice>
    );
  }
  return (
    <>
      <h3>By comparing a code</h3>
      <WaitForAdoption />
      <h3>With a token</h3>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          join.mutate();
        }}
      >
        <TextField
          label="Token"
          help="Made on a machine of that cluster: on its page, or with `skep token new`."
          value={token}
          onChange={setToken}
          placeholder="skep-join-…"
          mono
        />
        <details className="more">
          <summary>More settings</summary>
          <TextField label="Where to look besides" help="`HOST:PORT`, when the addresses in the token do not lead there." value={at} onChange={setAt} mono />
          <TextField label="Name of this machine there" value={name} onChange={setName} />
          <FlagField
            label="Leave the cluster that this machine is in"
            help="Only needed when others are in it. What it keeps of that one is put aside, not deleted."
            value={leave}
            onChange={setLeave}
          />
        </details>
        {join.isError && <Trouble error={join.error} />}
        <div className="buttons"><Button type="submit" look="primary" disabled={token.trim() === ""} busy={join.isPending}>Join</Button></div>
      </form>
    </>
  );
}
