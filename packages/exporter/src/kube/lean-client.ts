import { registerHooks } from 'node:module';

/** The one module of the client library that asks for its typed API, and how. */
const ASKS = /\/@kubernetes\/client-node\/dist\/config\.js$/;
const TYPED_API = './gen/index.js';
/** What it would take from there, for `makeApiClient` alone. */
const NOTHING = 'data:text/javascript,export const createConfiguration = undefined, ServerConfiguration = undefined;';

/**
 * From now on the client library of Kubernetes is loaded without its typed API: a class for every kind of object that Kubernetes knows, of
 * which nobody here asks for any, and which take a good part of an exporter's memory. For the begin of a program. Where the library is
 * built otherwise one day, all of it is loaded, and works as well.
 */
export function leaveOutTypedApi(): void {
  registerHooks({
    resolve(specifier, context, next) {
      const isTypedApi = specifier === TYPED_API && ASKS.test(context.parentURL ?? '');
      return isTypedApi ? { url: NOTHING, shortCircuit: true } : next(specifier, context);
    },
  });
}
