/** Places on a plain map: as far apart as they are, north up, without anything from outside. */

export interface Spot {
  latitude: number;
  longitude: number;
}

const EARTH_KM = 6371;
const RADIANS = Math.PI / 180;

/** The distance along the surface, in kilometres (haversine). */
export function kilometres(one: Spot, other: Spot): number {
  const a =
    Math.sin(((other.latitude - one.latitude) * RADIANS) / 2) ** 2 +
    Math.cos(one.latitude * RADIANS) *
      Math.cos(other.latitude * RADIANS) *
      Math.sin(((other.longitude - one.longitude) * RADIANS) / 2) ** 2;
  return 2 * EARTH_KM * Math.asin(Math.min(1, Math.sqrt(a)));
}

/** A longitude's difference the short way round, in degrees. */
function around(degrees: number): number {
  return ((((degrees + 180) % 360) + 360) % 360) - 180;
}

export interface Frame {
  /** Where a spot stands, in the units of the drawing. */
  at: (spot: Spot) => { x: number; y: number };
  /** Kilometres of one unit of the drawing. */
  kmPerUnit: number;
}

/** A frame of `width` by `height` that holds all spots with a margin: equirectangular about their middle, true to distance there. */
export function framed(spots: readonly Spot[], width: number, height: number, margin = 28): Frame {
  const origin = spots[0] ?? { latitude: 0, longitude: 0 };
  const shrink = Math.max(0.05, Math.cos(origin.latitude * RADIANS));
  const east = spots.map((spot) => around(spot.longitude - origin.longitude) * shrink);
  const north = spots.map((spot) => spot.latitude - origin.latitude);
  const middle = { x: middleOf(east), y: middleOf(north) };
  const span = Math.max(spanOf(east) / (width - 2 * margin), spanOf(north) / (height - 2 * margin), 0.02 / width);
  return {
    at: (spot) => ({
      x: width / 2 + (around(spot.longitude - origin.longitude) * shrink - middle.x) / span,
      y: height / 2 - (spot.latitude - origin.latitude - middle.y) / span,
    }),
    kmPerUnit: span * EARTH_KM * RADIANS,
  };
}

function middleOf(values: readonly number[]): number {
  return values.length === 0 ? 0 : (Math.min(...values) + Math.max(...values)) / 2;
}

function spanOf(values: readonly number[]): number {
  return values.length === 0 ? 0 : Math.max(...values) - Math.min(...values);
}

/** A round length for a scale, at most this many kilometres: 1, 2 or 5 times a power of ten. */
export function roundBelow(km: number): number {
  const power = 10 ** Math.floor(Math.log10(km));
  const step = [5, 2, 1].find((each) => each * power <= km) ?? 1;
  return step * power;
}
