// From coordinates to a drawing, and distances. Pure.

const EARTH_KM = 6371;
const LEAST_SPAN_KM = 40; // a drawing shows at least that much, so that near places do not look far apart
const KM_PER_DEGREE = 111.2;

const radians = (degrees) => (degrees * Math.PI) / 180;

/** The distance over the surface in km. */
export function distanceKm(a, b) {
  const [phiA, phiB] = [radians(a.latitude), radians(b.latitude)];
  const across = Math.sin((phiB - phiA) / 2) ** 2;
  const along = Math.sin(radians(b.longitude - a.longitude) / 2) ** 2;
  return 2 * EARTH_KM * Math.asin(Math.sqrt(Math.min(1, across + Math.cos(phiA) * Math.cos(phiB) * along)));
}

/** Whether a place has coordinates. */
export function isPlaced(place) {
  return place.latitude !== null && place.longitude !== null;
}

/**
 * Fit places into a box with margins: equirectangular, true to scale at the middle latitude.
 * Returns {at(place) -> [x, y], kmPerPx}.
 */
export function fit(places, { width, height, left, right, top, bottom }) {
  const first = places[0].longitude;
  // Places on both sides of the date line are near each other.
  const east = (place) => ((((place.longitude - first + 180) % 360) + 360) % 360) - 180;
  const lats = places.map((place) => place.latitude);
  const lons = places.map(east);
  const middle = [(Math.min(...lons) + Math.max(...lons)) / 2, (Math.min(...lats) + Math.max(...lats)) / 2];
  const kmEast = KM_PER_DEGREE * Math.max(0.2, Math.cos(radians(middle[1])));
  const spanX = Math.max(LEAST_SPAN_KM, (Math.max(...lons) - Math.min(...lons)) * kmEast);
  const spanY = Math.max(LEAST_SPAN_KM / 2, (Math.max(...lats) - Math.min(...lats)) * KM_PER_DEGREE);
  const kmPerPx = Math.max(spanX / (width - left - right), spanY / (height - top - bottom));
  const centre = [(left + width - right) / 2, (top + height - bottom) / 2];
  const at = (place) => [
    centre[0] + ((east(place) - middle[0]) * kmEast) / kmPerPx,
    centre[1] - ((place.latitude - middle[1]) * KM_PER_DEGREE) / kmPerPx,
  ];
  return { at, kmPerPx };
}

/** Push points apart that would cover each other, each by half of what is missing, a few times. */
export function apart(points, least) {
  const moved = points.map((point) => [...point]);
  for (let round = 0; round < 20; round += 1) {
    for (let i = 0; i < moved.length; i += 1) {
      for (let j = i + 1; j < moved.length; j += 1) {
        const dx = moved[j][0] - moved[i][0];
        const dy = moved[j][1] - moved[i][1];
        const lacking = least - Math.hypot(dx, dy);
        if (lacking <= 0) continue;
        const angle = dx || dy ? Math.atan2(dy, dx) : 0;
        const [x, y] = [(Math.cos(angle) * lacking) / 2, (Math.sin(angle) * lacking) / 2];
        moved[i] = [moved[i][0] - x, moved[i][1] - y];
        moved[j] = [moved[j][0] + x, moved[j][1] + y];
      }
    }
  }
  return moved;
}

/** A round length (1, 2 or 5 times a power of ten) of at most so many km, for a scale. */
export function roundLength(mostKm) {
  const power = 10 ** Math.floor(Math.log10(mostKm));
  return [5, 2, 1].map((times) => times * power).find((length) => length <= mostKm) ?? power;
}
