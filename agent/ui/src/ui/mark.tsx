/** The sign of skep: a hive of straw. */
export function Mark() {
  return (
    <svg className="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <path className="mark-body" d="M16 3c7 0 11 7 11 14v10H5V17C5 10 9 3 16 3z" />
      <path className="mark-line" d="M8.2 10.5h15.6M5.6 16h20.8M5 21.5h22" />
      <circle className="mark-door" cx="16" cy="25" r="3" />
    </svg>
  );
}
