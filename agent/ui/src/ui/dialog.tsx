/**
 * A dialog over the page: the browser's own element, which keeps the focus inside and makes the rest inert.
 *
 * Refuses a library's: those hold the page still with a style element, which the page's policy does not let in.
 */
import { X } from "lucide-react";
import { type ReactNode, useEffect, useId, useRef, useState } from "react";
import { Trouble } from "./basics";
import { Button } from "./basics";

export function Dialog({ title, onClose, children, footer, wide }: {
  title: string;
  onClose: () => void;
  children: ReactNode;
  footer?: ReactNode;
  wide?: boolean;
}) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = element.current;
    const before = document.activeElement;
    dialog?.showModal();
    return () => {
      dialog?.close();
      // What opened it has the focus again.
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={element}
      className={wide ? "dialog wide" : "dialog"}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onMouseDown={(event) => {
        // The backdrop belongs to the element itself.
        if (event.target === element.current) onClose();
      }}
    >
      <div className="dialog-inside">
        <header className="dialog-head">
          <h2 id={id}>{title}</h2>
          <Button look="quiet" small onClick={onClose} aria-label="Close"><X aria-hidden="true" /></Button>
        </header>
        <div className="dialog-body">{children}</div>
        {footer && <footer className="dialog-foot">{footer}</footer>}
      </div>
    </dialog>
  );
}

/** Asks before something that cannot be taken back. */
export function Confirm({ title, children, verb, onYes, onClose, danger = true }: {
  title: string;
  children: ReactNode;
  verb: string;
  onYes: () => Promise<unknown>;
  onClose: () => void;
  danger?: boolean;
}) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const yes = () => {
    setBusy(true);
    setError(null);
    onYes().then(onClose, (why: unknown) => {
      setError(why);
      setBusy(false);
    });
  };
  return (
    <Dialog
      title={title}
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button look={danger ? "danger" : "primary"} busy={busy} onClick={yes}>{verb}</Button>
        </>
      }
    >
      {children}
      {error !== null && <Trouble error={error} />}
    </Dialog>
  );
}
