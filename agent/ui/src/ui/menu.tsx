/** A button with further verbs behind it. Not modal: what a modal one does to the page needs a style element. */
import { Ellipsis } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import type { ReactNode } from "react";

export interface Verb { label: ReactNode; onSelect: () => void; danger?: boolean; disabled?: boolean }

export function Menu({ label, verbs, trigger }: { label: string; verbs: readonly Verb[]; trigger?: ReactNode }) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger className={trigger ? "button plain small" : "button quiet small"} aria-label={label}>
        {trigger ?? <Ellipsis aria-hidden="true" />}
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" align="end" sideOffset={4} collisionPadding={8}>
          {verbs.map((verb, at) => (
            <DropdownMenu.Item
              key={at}
              className={verb.danger ? "menu-item danger" : "menu-item"}
              disabled={verb.disabled ?? false}
              onSelect={verb.onSelect}
            >
              {verb.label}
            </DropdownMenu.Item>
          ))}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
