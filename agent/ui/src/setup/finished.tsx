/** The end of the setup, and what one does next. */
import { Boxes, Bell, Download, MessageSquare, Server, Smartphone } from "lucide-react";
import type { ReactNode } from "react";
import { Link } from "wouter";
import { Connect } from "../pages/connect";
import { FirstAdmin } from "./first-admin";
import { Card, Page } from "../ui/basics";

export function Finished() {
  return (
    <Page title="Your cluster is ready" lead="The setup is closed. This is where to go from here.">
      <ul className="nexts">
        <Next to="/chat" icon={<MessageSquare />} title="Ask something">Try a model in the browser.</Next>
        <Next to="/models" icon={<Download />} title="Bring a model">Any GGUF or safetensors file, by its address.</Next>
        <Next to="/nodes" icon={<Server />} title="Add a machine">One command there is enough.</Next>
        <Next to="/settings/notifiers" icon={<Bell />} title="Hear of alerts">By mail, chat or webhook.</Next>
        <Next to="/plugins" icon={<Boxes />} title="Add a plugin">And see what each may touch.</Next>
        <Next to="/overview" icon={<Smartphone />} title="Watch it">Also on a phone: add this page to its home screen.</Next>
      </ul>
      <FirstAdmin />
      <Card title="Connect a program"><Connect /></Card>
    </Page>
  );
}

function Next({ to, icon, title, children }: { to: string; icon: ReactNode; title: string; children: ReactNode }) {
  return (
    <li>
      <Link href={to} className="next">
        <span className="next-icon" aria-hidden="true">{icon}</span>
        <span><strong>{title}</strong><span className="soft">{children}</span></span>
      </Link>
    </li>
  );
}
