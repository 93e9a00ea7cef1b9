/** The first who signs in by a name and a password. The password goes to the agent alone: no answer of the setup has it. */
import { useState } from "react";
import { useUsers } from "../api/queries";
import { AddUser } from "../pages/users";
import { Button, Card } from "../ui/basics";

export function FirstAdmin() {
  const users = useUsers(true);
  const [adding, setAdding] = useState(false);
  if (!users.data) return null;
  const admins = users.data.users.filter((user) => user.role === "admin" && !user.disabled);
  return (
    <Card title="Who signs in" actions={admins.length === 0 ? <Button small look="primary" onClick={() => setAdding(true)}>Add an administrator</Button> : undefined}>
      {admins.length === 0
        ? <p>Nobody has a name and a password yet: until then, this page is opened by API keys. More people, LDAP and OpenID Connect are under Keys and users.</p>
        : <p>Administrators: {admins.map((user) => user.name).join(", ")}. More people, LDAP and OpenID Connect are under Keys and users.</p>}
      {adding && <AddUser first onClose={() => setAdding(false)} />}
    </Card>
  );
}
