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
        const [reset, update] = [i, units + i].map((row) => sigmoid(input[row] + own[row]));
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

  function recurrent({ kind }, a, classes) {
    const rows = a.stateBias.length, units = a.headKernel.length / classes, width = a.inputKernel.length / rows;
    return {
      start: () => ({ hidden: new Float64Array(units), cell: new Float64Array(units) }),
      step(state, letter) {
        const input = new Float64Array(rows), own = new Float64Array(rows);
        for (let row = 0; row < rows; row++) {
          let sum = a.stateBias[row];
          for (let i = 0, from = row * units; i < units; i++) sum += a.recurrentKernel[from + i] * state.hidden[i];
          own[row] = sum;
          input[row] = a.inputKernel[row * width + letter] + a.inputBias[row];
        }
        return steps[kind](units, input, own, state);
      },
      logits: ({ hidden }) => Array.from(a.headBias, (bias, k) =>
        hidden.reduce((sum, value, i) => sum + value * a.headKernel[i * classes + k], bias)),
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

  function together({ numbers, members }, _, classes) {
    const models = members.map((member) => build(member, classes));
    return {
      start: () => models.map((model) => model.start()),
      step: (states, letter) => states.map((state, i) => models[i].step(state, letter)),
      logits: (states) => states.map((state, i) => logSoftmax(models[i].logits(state)).map((value, k) =>
        numbers.weights[i] * (value - numbers.logShares[i][k]))).reduce((a, b) => a.map((value, k) => value + b[k])),
    };
  }

  const kinds = {
    rnn: recurrent, gru: recurrent, lstm: recurrent, markov, together,
    "naive-bayes": bag, "ngram-logistic": bag, majority: bag,
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
