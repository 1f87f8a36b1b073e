import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { BASE } from "~/api/client";
import { queries } from "~/api/queries";
import { modernAddress } from "./address";
import { router } from "./router";

/** Show the console. */
export function start(): void {
  const address = modernAddress(location, BASE);
  if (address !== null) history.replaceState(null, "", address);
  const root = document.getElementById("root");
  if (root === null) throw new Error("the page has no #root");
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </StrictMode>,
  );
}
