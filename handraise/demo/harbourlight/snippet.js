// Segment's classic snippet, as sites paste it; only the address that the script comes from is the gateway's.
(function () {
  var analytics = (window.analytics = window.analytics || []);
  if (analytics.initialize || analytics.invoked) return;
  analytics.invoked = true;
  analytics.methods = ["trackSubmit", "trackClick", "trackLink", "trackForm", "pageview", "identify", "reset", "group",
    "track", "ready", "alias", "debug", "page", "screen", "once", "off", "on", "addSourceMiddleware",
    "addIntegrationMiddleware", "setAnonymousId", "addDestinationMiddleware", "register"];
  analytics.factory = function (method) {
    return function () {
      if (window.analytics.initialized) return window.analytics[method].apply(window.analytics, arguments);
      var call = Array.prototype.slice.call(arguments);
      call.unshift(method);
      analytics.push(call);
      return analytics;
    };
  };
  for (var i = 0; i < analytics.methods.length; i++) {
    analytics[analytics.methods[i]] = analytics.factory(analytics.methods[i]);
  }
  analytics.load = function (key, options) {
    var script = document.createElement("script");
    script.async = true;
    script.src = "{gateway}/analytics.js/v1/" + key + "/analytics.min.js";
    document.head.appendChild(script);
    analytics._loadOptions = options;
  };
  analytics._writeKey = "demo";
  analytics.load("demo");
  analytics.page();
})();
