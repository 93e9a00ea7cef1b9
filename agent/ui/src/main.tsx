/** The start of the page. */
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/fields.css";
import "./styles/shell.css";
import "./styles/setup.css";
import "./styles/pages.css";
import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Router } from "wouter";
import { useHashLocation } from "wouter/use-hash-location";
import { client } from "./api/queries";
import { App } from "./app";
import { takeBrought } from "./entry";
import { show as showTheme } from "./lib/theme";
import { Toasts } from "./ui/toast";

showTheme();
const came = takeBrought();
const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <Toasts>
          <Router hook={useHashLocation}><App came={came} /></Router>
        </Toasts>
      </QueryClientProvider>
    </StrictMode>,
  );
}
