"use strict";
/* Computes models of names, as keras_dnnts/studies/names/page_models.py packs them. */
function namesReader(data) {
  const spellings = new Map(Object.entries(data.spellings));

  /* Arrays: little-endian numbers in base64. Float16Array is too new to be everywhere. */
  function decode({ type, base64 }) {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const whole = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, float32: Float32Array }[type];
    return whole ? new whole(bytes.buffer) : Float32Array.from(new Uint16Array(bytes.buffer), decodeHalf);
  }

  function decodeHalf(bits) {
    const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = (bits & 1023) / 1024;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction);
  }

  /* Names are read as the training read them: see keras_dnnts/datasets/alphabets.py. */
  const joinWords = (text) => text.split(" ").filter(Boolean).join(" ");
  const spell = (text) => [...text.normalize("NFC")].map((letter) => spellings.get(letter) ?? letter).join("");

  function readName(text, run) {
    const given = run.raw ? text : joinWords(spell(text)), kept = [], ignored = [];
    for (const letter of given.normalize("NFC")) {
      const parts = run.index.has(letter) ? [letter] : [...letter.normalize("NFD")];
      const usable = parts.filter((part) => run.index.has(part));
      if (usable.length) kept.push(...usable);
      else ignored.push(letter);
    }
    const letters = [...(run.raw ? kept.join("") : joinWords(kept.join("")))], hasLetter = /[\p{L}\p{M}\p{N}]/u;
    const usable = letters.join("").trim() && (hasLetter.test(letters.join("")) || !hasLetter.test(text));
    const problem = !usable ? "no usable letter" : letters.length > data.longest ? `longer than ${data.longest} letters` : "";
    return { letters, ignored, problem };
  }

  /* Models: start() is the state before the first letter, step(state, letter) the one after another letter, and
     logits(state) what the model says if the name ends there. */
  const sigmoid = (x) => 1 / (1 + Math.exp(-x));

  const steps = {
    rnn: (units, input, own) => ({ hidden: input.map((x, i) => Math.tanh(x + own[i])) }),
    gru: (units, input, own, { hidden }) => ({
      hidden: hidden.map((before, i) => {
        const reset = sigmoid(input[i] + own[i]), update = sigmoid(input[units + i] + own[units + i]);
        const candidate = Math.tanh(input[2 * units + i] + reset * own[2 * units + i]);
        return candidate + update * (before - candidate);
      }),
    }),
    lstm: (units, input, own, { cell }) => {
      const gate = (number, i) => input[number * units + i] + own[number * units + i];
      const next = cell.map((before, i) => sigmoid(gate(1, i)) * before + sigmoid(gate(0, i)) * Math.tanh(gate(2, i)));
      return { hidden: next.map((value, i) => sigmoid(gate(3, i)) * Math.tanh(value)), cell: next };
    },
  };

  function cell(kind, kernel, bias) {
    const rows = bias.length, units = kernel.length / rows;
    return (input, state) => {
      const own = new Float64Array(rows), hidden = state.hidden;
      for (let row = 0; row < rows; row++) {
        let sum = bias[row];
        for (let i = 0, from = row * units; i < units; i++) sum += kernel[from + i] * hidden[i];
        own[row] = sum;
      }
      return steps[kind](units, input, own, state);
    };
  }

  const nothingRead = (units) => ({ hidden: new Float64Array(units), cell: new Float64Array(units) });

  /* A dense layer; its kernel is (features, classes). */
  const answer = (features, kernel, bias, classes) => Array.from(bias, (first, k) =>
    features.reduce((sum, value, i) => sum + value * kernel[i * classes + k], first));

  function recurrent({ kind }, a, classes) {
    const width = a.inputKernel.length / a.inputBias.length, next = cell(kind, a.recurrentKernel, a.stateBias);
    return {
      start: () => nothingRead(a.headKernel.length / classes),
      step: (state, letter) =>
        next(Float64Array.from(a.inputBias, (bias, row) => a.inputKernel[row * width + letter] + bias), state),
      logits: ({ hidden }) => answer(hidden, a.headKernel, a.headBias, classes),
    };
  }

  /* Baselines add up what every n-gram says that ends in a symbol; `score(sums, symbols)` adds it for the last one. */
  function ngrams(score, a, { start, end, starts }, classes) {
    const total = a.names.reduce((sum, count) => sum + count, 0);
    const add = (state, symbol, scored = true) => {
      const next = { symbols: state.symbols + String.fromCharCode(symbol), sums: state.sums.slice(), blanks: [] };
      if (scored) score(next.sums, next.symbols);
      return next;
    };
    return {
      start() {
        let state = { symbols: "", sums: Array.from(a.names, (count) => Math.log(count / total)), blanks: [] };
        for (let i = 0; i < starts; i++) state = add(state, start, starts === 1);
        return state;
      },
      step(state, letter) {
        const symbol = a.symbols[letter], begun = state.symbols.length > starts;
        if (a.blank[letter]) return begun ? { ...state, blanks: [...state.blanks, symbol] } : state;
        return [...state.blanks, symbol].reduce((before, each) => add(before, each), state);
      },
      logits: (state) => add(state, end).sums,
    };
  }

  function text(array, number, length) {
    return String.fromCharCode(...array.subarray(number * length, (number + 1) * length));
  }

  function bag({ kind, numbers }, a, classes) {
    const places = new Map();
    for (let length = 1; length <= numbers.longest; length++) {
      const grams = a["ngrams" + length];
      for (let i = 0; i < grams.length / length; i++) places.set(text(grams, i, length), places.size);
    }
    const weights = kind === "naive-bayes" ? logProbabilities(a, places.size, numbers.alpha, classes) : a.weights;
    return ngrams((sums, symbols) => {
      for (let length = 1; length <= Math.min(numbers.longest, symbols.length); length++) {
        const place = places.get(symbols.slice(-length));
        if (place !== undefined) for (let k = 0; k < classes; k++) sums[k] += weights[place * classes + k];
      }
    }, kind === "ngram-logistic" ? { ...a, names: a.names.map(() => 1) } : a, numbers, classes);
  }

  /* Networks that are trained in batches read a name with both its ends marked, beside weights of n-grams. */
  function batched(model, a, classes) {
    const { kind, numbers } = model, beside = bag(model, { ...a, names: numbers.shares }, classes);
    const layers = { "char-cnn": convolutions, "bi-gru": bothWays }[kind](a, numbers);
    return {
      start: () => ({ sums: beside.start(), read: layers.add(layers.start, numbers.start) }),
      step(state, letter) {
        const sums = beside.step(state.sums, letter), known = state.sums.symbols.length;
        const added = Array.from(sums.symbols.slice(known), (symbol) => symbol.charCodeAt(0));
        return { sums, read: added.reduce(layers.add, state.read) };
      },
      logits({ sums, read }) {
        const features = layers.features(layers.add(read, numbers.end));
        const found = answer(features, a.headKernel, a.headBias, classes);
        return beside.logits(sums).map((sum, k) => sum + found[k]);
      },
    };
  }

  /* What a kernel (rows, width) makes of the vector of a symbol, plus a bias; computed once for each symbol. */
  function project(kernel, { embedding }, width, bias) {
    const known = [];
    return (symbol) => (known[symbol] ??= Float64Array.from({ length: kernel.length / width }, (_, row) => {
      let sum = bias?.[row] ?? 0;
      for (let i = 0; i < width; i++) sum += kernel[row * width + i] * embedding[symbol * width + i];
      return sum;
    }));
  }

  /* The largest output of each filter, at least 0; filters also see what stretches beyond the end of a name. */
  function convolutions(a, { width, widths }) {
    const layers = widths.map((size) => ({ size, bias: a["bias" + size], of: project(a["filters" + size], a, width) }));
    const apply = ({ bias, of }, most, symbols) => {
      const outputs = Float64Array.from(bias);
      symbols.forEach((symbol, place) => {
        const part = of(symbol).subarray(place * outputs.length);
        for (let f = 0; f < outputs.length; f++) outputs[f] += part[f];
      });
      return outputs.map((output, f) => Math.max(output, most[f]));
    };
    return {
      start: { most: layers.map(({ bias }) => new Float64Array(bias.length)), last: [] },
      add({ most, last }, symbol) {
        const symbols = [...last, symbol];
        const after = layers.map((layer, i) =>
          symbols.length < layer.size ? most[i] : apply(layer, most[i], symbols.slice(-layer.size)));
        return { most: after, last: symbols.slice(1 - Math.max(...widths)) };
      },
      features: ({ most, last }) => layers.flatMap((layer, i) => {
        let all = most[i];
        for (let left = 1; left < layer.size && left <= last.length; left++) all = apply(layer, all, last.slice(-left));
        return [...all];
      }),
    };
  }

  /* Of a GRU in either direction the last state and the largest value of each unit. */
  function bothWays(a, { width }) {
    const [forwards, backwards] = [1, 2].map((side) => {
      const of = project(a["inputKernel" + side], a, width, a["inputBias" + side]);
      const next = cell("gru", a["recurrentKernel" + side], a["stateBias" + side]);
      return (before, symbol) => {
        const { hidden } = next(of(symbol), before);
        return { hidden, most: before.most.map((value, i) => Math.max(value, hidden[i])) };
      };
    });
    const units = a.stateBias1.length / 3, { hidden } = nothingRead(units);
    const start = { hidden, most: hidden.map(() => -Infinity) };
    return {
      start: { forward: start, symbols: [] },
      add: ({ forward, symbols }, symbol) => ({ forward: forwards(forward, symbol), symbols: [...symbols, symbol] }),
      features: ({ forward, symbols }) => [forward, symbols.reduceRight(backwards, start)]
        .flatMap(({ hidden, most }) => [...hidden, ...most]),
    };
  }

  function logProbabilities(a, size, alpha, classes) {
    const counts = new Float64Array(size * classes).fill(alpha), totals = new Float64Array(classes).fill(alpha * size);
    let row = 0;
    a.gap.forEach((gap, i) => {
      row += gap;
      counts[row * classes + a.class[i]] += a.count[i];
      totals[a.class[i]] += a.count[i];
    });
    return counts.map((count, i) => Math.log(count / totals[i % classes]));
  }

  /* Interpolated Kneser-Ney; a count's key is its n-gram and class, and that of a total its context and class. */
  function markov({ numbers }, a, classes) {
    const counts = new Map(), totals = new Map(), uniform = 1 / (numbers.end + 1);
    const count = (ngram, k, amount) => {
      const key = ngram + String.fromCharCode(k), context = ngram.slice(0, -1) + "|" + String.fromCharCode(k);
      const total = totals.get(context) ?? totals.set(context, [0, 0]).get(context), known = counts.get(key);
      counts.set(key, (known ?? 0) + amount);
      total[0] += amount;
      if (known === undefined) total[1] += 1;
      if (known === undefined && ngram.length > 1) count(ngram.slice(1), k, 1);
    };
    a.class.forEach((k, i) => count(text(a.ngrams, i, numbers.longest), k, a.count[i]));
    return ngrams((sums, symbols) => {
      for (let k = 0; k < classes; k++) {
        let probability = uniform;
        for (let length = 1; length <= numbers.longest; length++) {
          const ngram = symbols.slice(-length), own = String.fromCharCode(k);
          const total = totals.get(ngram.slice(0, -1) + "|" + own);
          if (!total) continue;
          const seen = Math.max((counts.get(ngram + own) ?? 0) - numbers.discount, 0);
          probability = (seen + numbers.discount * total[1] * probability) / total[0];
        }
        sums[k] += Math.log(probability);
      }
    }, a, numbers, classes);
  }

  /* Several models answer with the product of their probabilities, each to the power of its weight, or the mean. */
  function several(members, classes, combine) {
    const models = members.map((member) => build(member, classes));
    return {
      start: () => models.map((model) => model.start()),
      step: (states, letter) => states.map((state, i) => models[i].step(state, letter)),
      logits: (states) => combine(states.map((state, i) => logSoftmax(models[i].logits(state)))),
    };
  }

  const together = ({ numbers, members }, _, classes) => several(members, classes, (said) => said[0].map((_, k) =>
    said.reduce((sum, each, i) => sum + numbers.weights[i] * (each[k] - numbers.logShares[i][k]), 0)));

  const averaged = ({ members }, _, classes) => several(members, classes, (said) => said[0].map((_, k) =>
    Math.log(said.reduce((sum, each) => sum + Math.exp(each[k]), 0) / said.length)));

  const kinds = {
    rnn: recurrent, gru: recurrent, lstm: recurrent, markov, together, averaged,
    "naive-bayes": bag, "ngram-logistic": bag, majority: bag, "char-cnn": batched, "bi-gru": batched,
  };

  function build(model, classes) {
    const arrays = Object.fromEntries(Object.entries(model.arrays).map(([name, array]) => [name, decode(array)]));
    return kinds[model.kind](model, arrays, classes);
  }

  function logSoftmax(logits) {
    const most = Math.max(...logits), sum = logits.reduce((total, value) => total + Math.exp(value - most), 0);
    return logits.map((value) => value - most - Math.log(sum));
  }

  const built = (run, seed) => (run.built[seed] ??= build(run.models[seed], run.classes.length));

  /* What a seed's model says after every letter; the beginning that two names share is read once. */
  function readLetters(run, seed, letters) {
    const model = built(run, seed);
    const known = (run.read[seed] ??= []);
    let same = 0;
    while (same < known.length && known[same].letter === letters[same]) same++;
    known.length = Math.min(same, letters.length);
    for (let i = known.length; i < letters.length; i++) {
      const state = model.step(i ? known[i - 1].state : model.start(), run.index.get(letters[i]));
      known.push({ letter: letters[i], state, said: logSoftmax(model.logits(state)) });
    }
    return known.map((one) => one.said);
  }

  function probabilities(run, letters, choice, prior) {
    const seeds = choice === "mean" ? run.models.map((_, seed) => seed) : [Math.min(+choice, run.models.length - 1)];
    const each = seeds.map((seed) => readLetters(run, seed, letters).map((said) => {
      const shift = prior && run.shifts.length ? run.shifts[seed][prior] : null;
      return logSoftmax(shift ? said.map((value, k) => value + shift[k]) : said).map(Math.exp);
    }));
    return letters.map((_, i) => run.classes.map((_, k) =>
      each.reduce((sum, said) => sum + said[i][k], 0) / seeds.length));
  }

  for (const run of data.runs) {
    run.index = new Map([...run.alphabet].map((letter, i) => [letter, i]));
    run.built = [];
    run.read = [];
  }

  function read(text, run, choice, prior) {
    const { letters, ignored, problem } = readName(text, run);
    const rows = problem ? [] : probabilities(run, letters, choice, prior);
    return { letters, ignored, problem, rows, last: rows.at(-1) ?? [] };
  }

  return { read, prepare: () => data.runs.forEach((run) => built(run, 0)) };
}
