// Runs before the first paint, so that a chosen theme does not flash in the other one. Classic script on purpose.
(function () {
  try {
    var theme = localStorage.getItem('lectern.theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch (error) {
    // Storage may be forbidden; the system's choice stands then.
  }
})();
